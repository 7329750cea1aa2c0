"""OpenVINO on the graph that driftline exports: images/s by batch size and threads, as the bench `embed` measures backends.

    driftline model export-onnx resnet18_cifar10.pth -o model.onnx
    python benches/embed_openvino.py model.onnx

From u8 images to outputs, in fp32, one call at a time; median of 3 seconds of calls after one second of them. The rows are
those of `ratios.py`. Needs openvino and numpy.
"""

import statistics
import sys
import time

import numpy as np
import openvino as ov
from openvino.preprocess import PrePostProcessor

BATCHES = (1, 8, 32, 256)
THREADS = (1, 2)


def compiled(core, file, batch, threads):
    model = core.read_model(file)
    channels, height, width = (dimension.get_length() for dimension in list(model.input().partial_shape)[1:])
    model.reshape([batch, channels, height, width])
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).mean(127.5).scale(127.5)
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(steps.build(), "CPU", settings)


def seconds(infer, images, duration):
    calls = []
    end = time.perf_counter() + duration
    while not calls or time.perf_counter() < end:
        start = time.perf_counter()
        infer({0: images})
        calls.append(time.perf_counter() - start)
    return statistics.median(calls)


print(f"openvino: openvino {ov.__version__}, cpu, fp32, threads: {', '.join(map(str, THREADS))}\n")
print("| batch | threads | openvino |\n| --- | --- | --- |")
core = ov.Core()
for threads in THREADS:
    for batch in BATCHES:
        model = compiled(core, sys.argv[1], batch, threads)
        infer = model.create_infer_request().infer
        images = np.random.default_rng(7).integers(0, 256, model.input().shape, np.uint8)
        seconds(infer, images, 1)
        print(f"| {batch} | {threads} | {batch / seconds(infer, images, 3):,.0f} |", flush=True)
