//! Nothing is allocated after the first call.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use driftline_backend_candle::CandleBackend;
use driftline_conformance::synthetic::SyntheticModel;
use driftline_core::{
    BackendConfig, EmbeddingBackend, ImageShape, ImageView, Inference, InferenceMut,
};

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
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

#[test]
fn calls_after_the_first_allocate_nothing() {
    let shape = ImageShape {
        height: 32,
        width: 32,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let model = SyntheticModel::new(8, shape).write(folder.path());
    let config = BackendConfig::new(model.expect("a model"), 2);
    let mut backend = CandleBackend::open(&config).expect("the backend");
    let images = vec![77; 100 * shape.bytes()];
    let mut out = Inference::default();
    out.reset(backend.info(), 100);
    let mut before = 0;
    for (call, n) in [1, 2, 100, 31, 3, 100].into_iter().enumerate() {
        // A thread allocates when it starts.
        if call == 1 {
            before = ALLOCATIONS.load(Ordering::Relaxed);
        }
        let view = ImageView::new(shape, &images[..n * shape.bytes()]).expect("images");
        let (dim, classes) = (backend.info().dim, backend.info().classes.len());
        let mut out = InferenceMut {
            embeddings: &mut out.embeddings[..n * dim],
            scores: Some(&mut out.scores[..n * classes]),
        };
        backend.embed(view, &mut out).expect("embeddings");
    }
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before);
}
