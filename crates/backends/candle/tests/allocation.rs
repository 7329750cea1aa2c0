//! Nothing that grows with the batch is allocated after the first call of the largest one; by the kernels nothing at all.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use driftline_backend_candle::{CandleBackend, KernelsBackend};
use driftline_conformance::synthetic::SyntheticModel;
use driftline_core::{
    BackendConfig, EmbeddingBackend, ImageShape, ImageView, Inference, InferenceMut,
};

/// Bytes.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

/// What candle itself allocates to run an operation in place, whatever the batch: the axes of the tensor's layout.
const AXES: usize = 64;

struct Counting;

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that the calls after the first allocate.
fn allocated(sizes: &[usize], backend: &mut dyn EmbeddingBackend) -> usize {
    let shape = backend.info().input;
    let most = sizes.iter().copied().max().unwrap_or_default();
    let images = vec![77; most * shape.bytes()];
    let mut out = Inference::default();
    out.reset(backend.info(), most);
    let mut before = 0;
    for (call, n) in sizes.iter().copied().enumerate() {
        // A thread allocates when it starts.
        if call == 1 {
            before = ALLOCATED.load(Ordering::Relaxed);
        }
        let view = ImageView::new(shape, &images[..n * shape.bytes()]).expect("images");
        let (dim, classes) = (backend.info().dim, backend.info().classes.len());
        let mut out = InferenceMut {
            embeddings: &mut out.embeddings[..n * dim],
            scores: Some(&mut out.scores[..n * classes]),
        };
        backend.embed(view, &mut out).expect("embeddings");
    }
    ALLOCATED.load(Ordering::Relaxed) - before
}

/// One test, so that no other allocates beside it.
#[test]
fn calls_after_the_first_allocate_nothing() {
    let shape = ImageShape {
        height: 32,
        width: 32,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let model = SyntheticModel::new(8, shape).write(folder.path());
    let config = BackendConfig::new(model.expect("a model"), 2);
    let mut kernels = KernelsBackend::open(&config).expect("the backend");
    assert_eq!(allocated(&[1, 2, 100, 31, 3, 100], &mut kernels), 0);
    // candle's tensor of results grows with the largest batch.
    let mut candle = CandleBackend::open(&config).expect("the backend");
    let bytes = allocated(&[100, 1, 2, 31, 3, 100], &mut candle);
    assert!(bytes <= 5 * AXES, "{bytes} bytes in five calls");
}
