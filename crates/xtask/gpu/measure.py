#!/usr/bin/env python3
"""Checks and measures driftline's tch backend on this machine beside PyTorch, in one run.

    python3 measure.py [--device cuda|cpu] [--seconds 1.0] [--batches 1,8,...] [--into DIR]

Needs Linux on x86-64 and PyTorch 2.11; its own libtorch is the one that driftline loads. In order:

1. `driftline conformance --backend tch` on the device, in fp32 and in bf16, with the sample model.
2. The full-width ResNet-18 made from a seed: embeddings of the tch backend in fp32 against PyTorch in float64. What TF32 would
   have given is measured beside it, so that the difference shows which of the two the device computed.
3. Images per second by batch size: tch, PyTorch eager and torch.compile, each in fp32 (TF32 off) and in bf16. A call takes u8
   pixels in the memory of the CPU and gives f32 embeddings and scores there.

Writes gpu.json and gpu.txt, and exits with 1 where a check failed.
"""

import argparse
import gzip
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

import torch
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20260301
BATCHES = "1,4,16,64,256,1024,4096"
IMAGES_COMPARED = 256
# Relative L2 distance of an embedding from float64. fp32 stays orders below, TF32 and bf16 orders above.
FP32_AT_MOST = 1e-5
TF32_AT_LEAST = 1e-4
WARM_UP_CALLS = 3
CALLS_AT_LEAST = 5


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """Base width 64, embedding of 128, ten classes: 11 million weights, as the model of CIFAR-10."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for layer, outputs in enumerate([64, 128, 256, 512], 1):
            blocks = [Block(inputs, outputs, 1 if layer == 1 else 2), Block(outputs, outputs, 1)]
            setattr(self, f"layer{layer}", nn.Sequential(*blocks))
            inputs = outputs
        self.fc = nn.Sequential(nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 10))

    def forward(self, x):
        """Pixels u8 [N, H, W, 3] to embeddings and scores, f32 both (or f64)."""
        weight = self.conv1.weight
        x = (x.permute(0, 3, 1, 2).to(weight.dtype) / 255 - 0.5) / 0.5
        x = torch.relu(self.bn1(self.conv1(x)))
        x = nn.functional.max_pool2d(x, 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        embeddings = self.fc[0](x.mean((2, 3)))
        scores = torch.softmax(self.fc[2](torch.relu(embeddings)), 1)
        wide = torch.promote_types(weight.dtype, torch.float32)
        return embeddings.to(wide), scores.to(wide)


def seeded_model():
    torch.manual_seed(SEED)
    model = ResNet18().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.uniform_(module.bias, -0.1, 0.1)
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def allow_tf32(allowed):
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def runtime():
    """The folder that driftline takes as libtorch, and the environment that finds it."""
    folder = pathlib.Path(torch.__file__).resolve().parent
    paths = [str(folder / "lib")]
    # The CUDA libraries that come as packages of their own lie beside torch.
    paths += sorted(map(str, folder.parent.glob("nvidia/*/lib")))
    paths += filter(None, [os.environ.get("LD_LIBRARY_PATH")])
    environment = dict(os.environ, LIBTORCH=str(folder), LD_LIBRARY_PATH=":".join(paths))
    environment["DRIFTLINE_PLUGIN_PATH"] = str(HERE / "plugins")
    # The bundle may have been unpacked by another user than the one that runs it.
    environment["DRIFTLINE_TRUST_PERMISSIONS"] = "1"
    return environment


def unpacked(work):
    """The command, which the bundle has compressed."""
    command = work / "driftline"
    with gzip.open(HERE / "driftline.gz") as packed, command.open("wb") as file:
        shutil.copyfileobj(packed, file)
    command.chmod(0o755)
    return command


def conformance(driftline, environment, device, precision, work):
    junit = work / f"conformance-{precision}.xml"
    command = [driftline, "conformance", "--backend", "tch", "--device", device]
    command += ["--precision", precision, "--junit", junit]
    done = subprocess.run(command, env=environment, text=True, capture_output=True)
    print(done.stdout + done.stderr, flush=True)
    return {"precision": precision, "passed": done.returncode == 0, "output": done.stdout + done.stderr}


def tch(environment, model, images, device, precision, batches, seconds, work):
    out = work / f"embeddings-{precision}.f32"
    command = [HERE / "measure", model, images, device, precision, ",".join(map(str, batches)), str(seconds), out]
    done = subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"measure failed: {' '.join(map(str, command))}")
    embeddings = torch.frombuffer(bytearray(out.read_bytes()), dtype=torch.float32).view(-1, 128)
    return json.loads(done.stdout), embeddings


def measure_torch(network, images, device, batches, seconds):
    rows = []
    for batch in batches:
        pixels = images[:batch]

        def call():
            with torch.inference_mode():
                embeddings, scores = network(pixels.to(device))
                return embeddings.cpu(), scores.cpu()

        for _ in range(WARM_UP_CALLS):
            call()
        times, start = [], time.perf_counter()
        while len(times) < CALLS_AT_LEAST or time.perf_counter() - start < seconds:
            begin = time.perf_counter()
            call()
            times.append(time.perf_counter() - begin)
        rows.append({"batch": batch, "calls": len(times), "seconds": statistics.median(times)})
    return rows


def distance(found, exact):
    return ((found.double() - exact).norm(dim=1) / exact.norm(dim=1)).max().item()


def table(results, batches):
    names = list(results)
    lines = ["images per second, by batch size", ""]
    lines.append(f"{'':<26}" + "".join(f"{batch:>10}" for batch in batches))
    for name in names:
        speeds = [row["batch"] / row["seconds"] for row in results[name]]
        lines.append(f"{name:<26}" + "".join(f"{speed:>10.0f}" for speed in speeds))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--seconds", type=float, default=1.0, help="to measure each batch size for")
    parser.add_argument("--batches", default=BATCHES)
    parser.add_argument("--into", type=pathlib.Path, default=pathlib.Path.cwd())
    options = parser.parse_args()
    if not torch.__version__.startswith("2.11"):
        sys.exit(f"PyTorch 2.11 is needed, this is {torch.__version__}")
    device, into = options.device, options.into
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("PyTorch finds no CUDA device; `--device cpu` tries the bundle without one")
    work = into / "gpu-work"
    work.mkdir(parents=True, exist_ok=True)
    batches = [int(batch) for batch in options.batches.split(",")]
    environment = runtime()

    # On the CPU the backend has no bf16.
    precisions = ["fp32", "bf16"] if device == "cuda" else ["fp32"]
    driftline = unpacked(work)
    checks = [conformance(driftline, environment, device, precision, work) for precision in precisions]

    model = seeded_model()
    weights = work / "resnet18.pth"
    torch.save(model.state_dict(), weights)
    generator = torch.Generator().manual_seed(SEED)
    count = max(batches + [IMAGES_COMPARED])
    images = torch.randint(0, 256, (count, 32, 32, 3), dtype=torch.uint8, generator=generator)
    pixels = work / "images.u8"
    pixels.write_bytes(images.numpy().tobytes())

    allow_tf32(False)
    compared = images[:IMAGES_COMPARED]
    with torch.inference_mode():
        exact = seeded_model().double()(compared)[0]
    results, precision_of = {}, {}
    for precision in precisions:
        measured, embeddings = tch(environment, weights, pixels, device, precision, batches, options.seconds, work)
        results[f"driftline tch {precision}"] = measured["measured"]
        precision_of[f"driftline tch {precision}"] = distance(embeddings[:IMAGES_COMPARED], exact)
        engine = measured["engine"]
    for precision, dtype in [("fp32", torch.float32), ("bf16", torch.bfloat16)]:
        network = seeded_model().to(device, dtype)
        with torch.inference_mode():
            embeddings = network(compared.to(device))[0].cpu()
        precision_of[f"PyTorch {precision}"] = distance(embeddings, exact)
        results[f"PyTorch eager {precision}"] = measure_torch(network, images, device, batches, options.seconds)
        # Batch sizes are many here; each may have code of its own, as in a service with one size.
        compiled = torch.compile(network, dynamic=False)
        torch._dynamo.config.cache_size_limit = 64
        results[f"torch.compile {precision}"] = measure_torch(compiled, images, device, batches, options.seconds)
    if device == "cuda":
        allow_tf32(True)
        with torch.inference_mode():
            embeddings = seeded_model().to(device)(compared.to(device))[0].cpu()
        precision_of["PyTorch TF32"] = distance(embeddings, exact)
        allow_tf32(False)
    is_fp32 = precision_of["driftline tch fp32"] <= FP32_AT_MOST
    sees_tf32 = precision_of.get("PyTorch TF32", 1.0) >= TF32_AT_LEAST

    machine = torch.cuda.get_device_name(0) if device == "cuda" else platform.processor() or platform.machine()
    text = "\n".join(
        [f"{engine}, PyTorch {torch.__version__}, {device}: {machine}", ""]
        + [f"conformance {check['precision']}: {'passed' if check['passed'] else 'FAILED'}" for check in checks]
        + [f"fp32 on the device: {'yes' if is_fp32 else 'NO'} (relative L2 distance from float64, worst of {IMAGES_COMPARED})"]
        + [f"  {name:<24}{value:.1e}" for name, value in precision_of.items()]
        + ["", table(results, batches), ""]
    )
    document = {
        "device": device, "machine": machine, "engine": engine, "torch": torch.__version__,
        "conformance": checks, "fp32": {"proved": is_fp32 and sees_tf32, "distance_from_float64": precision_of},
        "measured": results,
    }
    (into / "gpu.json").write_text(json.dumps(document, indent=2) + "\n")
    (into / "gpu.txt").write_text(text)
    print(text)
    if not (is_fp32 and sees_tf32 and all(check["passed"] for check in checks)):
        sys.exit(1)


if __name__ == "__main__":
    main()
