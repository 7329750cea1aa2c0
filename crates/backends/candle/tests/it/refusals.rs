//! What cannot be opened is refused with the remedy, and nothing else is.

use std::path::Path;

use driftline_backend_candle::{CandleBackend, Instructions};
use driftline_conformance::synthetic::SyntheticModel;
use driftline_core::{
    BackendConfig, EmbeddingBackend, ErrorKind, ImageShape, ImageView, Inference, Precision,
};

fn model(folder: &Path, side: usize) -> BackendConfig {
    let shape = ImageShape {
        height: side,
        width: side,
    };
    let path = SyntheticModel::new(8, shape).write(folder);
    BackendConfig::new(path.expect("a model"), 1)
}

#[test]
fn images_so_large_that_few_are_taken_at_a_time_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = model(folder.path(), 2048);
    config.threads = 2;
    let mut backend = CandleBackend::open(&config).expect("the backend");
    let shape = backend.info().input;
    // A different grey for each.
    let images: Vec<u8> = (0..10_u8)
        .flat_map(|i| vec![i * 20; shape.bytes()])
        .collect();
    let mut embed = |images: &[u8]| {
        let view = ImageView::new(shape, images).expect("images");
        let mut out = Inference::default();
        out.reset(backend.info(), view.len());
        backend.embed(view, &mut out.as_mut()).expect("embeddings");
        out.embeddings
    };
    let all = embed(&images);
    let last = embed(&images[9 * shape.bytes()..]);
    assert_eq!(all[all.len() - last.len()..], last);
}

#[test]
fn threads_that_there_is_no_memory_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = model(folder.path(), 512);
    config.threads = 1 << 20;
    let error = CandleBackend::open(&config)
        .err()
        .map(|error| (error.kind(), error.to_string()));
    let (kind, message) = error.expect("an error");
    assert_eq!(kind, ErrorKind::Resource);
    for part in ["MiB for images of this size", "fewer threads"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn options_that_it_does_not_have() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = model(folder.path(), 32);
    for (option, value, part) in [
        ("fuse", true.into(), "there is no option `fuse`"),
        ("fused", "no".into(), "the option `fused` is \"no\""),
    ] {
        let mut config = config.clone();
        config.options.insert(option.to_owned(), value);
        let error = CandleBackend::open(&config).err().expect("an error");
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn a_precision_that_candles_own_operations_do_not_have() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = model(folder.path(), 32);
    config.precision = Some(Precision::Bf16);
    config.options.insert("fused".to_owned(), false.into());
    let error = CandleBackend::open(&config).err().expect("an error");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(
        error.to_string().contains("backend.options.fused"),
        "{error}"
    );
}

#[test]
fn instructions_and_precisions_of_another_processor() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = model(folder.path(), 32);
    for precision in [Precision::Fp32, Precision::Tf32, Precision::Bf16] {
        config.precision = Some(precision);
        for instructions in Instructions::ALL {
            let opened = CandleBackend::fused(&config, instructions);
            let supported = Instructions::supported(precision).any(|set| set == instructions);
            match opened {
                Ok(_) => assert!(supported, "{instructions}, {precision}"),
                Err(error) => {
                    assert!(!supported, "{instructions}, {precision}: {error}");
                    assert_eq!(error.kind(), ErrorKind::Unsupported);
                }
            }
        }
    }
}
