//! Pickles as Python writes them, and hostile ones.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use driftline_core::{Budget, Error, ErrorKind};
use driftline_pickle::{MAX_DEPTH, Pickle};
use proptest::prelude::*;

// The same dict written by CPython 3.11 with NumPy 2 in three protocols:
// {b"data": np.arange(12, dtype=np.uint8).reshape(2, 6) + 200, b"labels": [3, 250], "名": -5, b"f": 1.5,
//  "big": 2**40, "neg": -2**40, "t": (1, 2, 3, 4), "n": None, "b": True}
const PROTOCOL_0: &[u8] = b"\
    (dp0\nc_codecs\nencode\np1\n(Vdata\np2\nVlatin1\np3\ntp4\nRp5\ncnumpy._core.multiarray\n_reconstruct\
    \np6\n(cnumpy\nndarray\np7\n(I0\ntp8\ng1\n(Vb\np9\ng3\ntp10\nRp11\ntp12\nRp13\n(I1\n(I2\nI6\ntp14\nc\
    numpy\ndtype\np15\n(Vu1\np16\nI00\nI01\ntp17\nRp18\n(I3\nV|\np19\nNNNI-1\nI-1\nI0\ntp20\nbI00\ng1\n(\
    V\xc8\xc9\xca\xcb\xcc\xcd\xce\xcf\xd0\xd1\xd2\xd3\np21\ng3\ntp22\nRp23\ntp24\nbsg1\n(Vlabels\np25\ng\
    3\ntp26\nRp27\n(lp28\nI3\naI250\nasV\\u540d\np29\nI-5\nsg1\n(Vf\np30\ng3\ntp31\nRp32\nF1.5\nsVbig\np\
    33\nL1099511627776L\nsVneg\np34\nL-1099511627776L\nsVt\np35\n(I1\nI2\nI3\nI4\ntp36\nsVn\np37\nNsVb\n\
    p38\nI01\ns.";

const PROTOCOL_2: &[u8] = b"\
    \x80\x02}q\x00(c_codecs\nencode\nq\x01X\x04\x00\x00\x00dataq\x02X\x06\x00\x00\x00latin1q\x03\x86q\
    \x04Rq\x05cnumpy._core.multiarray\n_reconstruct\nq\x06cnumpy\nndarray\nq\x07K\x00\x85q\x08h\x01X\x01\
    \x00\x00\x00bq\x09h\x03\x86q\nRq\x0b\x87q\x0cRq\x0d(K\x01K\x02K\x06\x86q\x0ecnumpy\ndtype\nq\x0fX\
    \x02\x00\x00\x00u1q\x10\x89\x88\x87q\x11Rq\x12(K\x03X\x01\x00\x00\x00|q\x13NNNJ\xff\xff\xff\xffJ\xff\
    \xff\xff\xffK\x00tq\x14b\x89h\x01X\x18\x00\x00\x00\xc3\x88\xc3\x89\xc3\x8a\xc3\x8b\xc3\x8c\xc3\x8d\
    \xc3\x8e\xc3\x8f\xc3\x90\xc3\x91\xc3\x92\xc3\x93q\x15h\x03\x86q\x16Rq\x17tq\x18bh\x01X\x06\x00\x00\
    \x00labelsq\x19h\x03\x86q\x1aRq\x1b]q\x1c(K\x03K\xfaeX\x03\x00\x00\x00\xe5\x90\x8dq\x1dJ\xfb\xff\xff\
    \xffh\x01X\x01\x00\x00\x00fq\x1eh\x03\x86q\x1fRq G?\xf8\x00\x00\x00\x00\x00\x00X\x03\x00\x00\x00bigq\
    !\x8a\x06\x00\x00\x00\x00\x00\x01X\x03\x00\x00\x00negq\"\x8a\x06\x00\x00\x00\x00\x00\xffX\x01\x00\
    \x00\x00tq#(K\x01K\x02K\x03K\x04tq$X\x01\x00\x00\x00nq%NX\x01\x00\x00\x00bq&\x88u.";

const PROTOCOL_4: &[u8] = b"\
    \x80\x04\x95\x00\x01\x00\x00\x00\x00\x00\x00}\x94(C\x04data\x94\x8c\x16numpy._core.multiarray\x94\
    \x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94\
    \x87\x94R\x94(K\x01K\x02K\x06\x86\x94h\x05\x8c\x05dtype\x94\x93\x94\x8c\x02u1\x94\x89\x88\x87\x94R\
    \x94(K\x03\x8c\x01|\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b\x89C\x0c\xc8\xc9\xca\xcb\xcc\
    \xcd\xce\xcf\xd0\xd1\xd2\xd3\x94t\x94bC\x06labels\x94]\x94(K\x03K\xfae\x8c\x03\xe5\x90\x8d\x94J\xfb\
    \xff\xff\xffC\x01f\x94G?\xf8\x00\x00\x00\x00\x00\x00\x8c\x03big\x94\x8a\x06\x00\x00\x00\x00\x00\x01\
    \x8c\x03neg\x94\x8a\x06\x00\x00\x00\x00\x00\xff\x8c\x01t\x94(K\x01K\x02K\x03K\x04t\x94\x8c\x01n\x94N\
    \x8c\x01b\x94\x88u.";

/// A CIFAR-10 batch as Python 2 wrote it, with one row of three bytes: names of Python 2's `numpy.core`, byte strings.
const PYTHON_2: &[u8] = b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\n\
    q\x04K\x00\x85U\x01bq\x05\x87Rq\x06(K\x01K\x01K\x03\x86cnumpy\ndtype\nq\x07U\x02u1K\x00K\x01\x87Rq\x08\
    (K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x03\xc8\xc9\xcatbU\x06labels]q\x09K\x07au.";

fn numpy(module: &str, name: &str) -> bool {
    matches!(
        (module, name),
        ("_codecs", "encode")
            | (
                "numpy.core.multiarray" | "numpy._core.multiarray",
                "_reconstruct"
            )
            | ("numpy", "ndarray" | "dtype")
    )
}

fn parse<'a>(bytes: &'a [u8], allowed: &dyn Fn(&str, &str) -> bool) -> Result<Pickle<'a>, Error> {
    driftline_pickle::parse(bytes, allowed, &mut Budget::new(1 << 30))
}

fn error(bytes: &[u8]) -> Error {
    parse(bytes, &numpy).unwrap_err()
}

fn array_bytes(pickle: &Pickle<'_>) -> (Vec<i64>, Vec<u8>) {
    let array = pickle.root().get("data").unwrap().call().unwrap();
    assert_eq!(array.name, "_reconstruct");
    assert_eq!(array.args[0].global(), Some(("numpy", "ndarray")));
    let state: Vec<_> = array.state.unwrap().items().unwrap().collect();
    let shape = state[1].items().unwrap();
    let dtype = state[2].call().unwrap();
    assert_eq!((dtype.module, dtype.name), ("numpy", "dtype"));
    assert_eq!(dtype.args[0].as_str(), Some("u1"));
    assert_eq!(state[3].as_bool(), Some(false));
    (
        shape.map(|v| v.as_i64().unwrap()).collect(),
        state[4].as_bytes().unwrap().into_owned(),
    )
}

#[test]
fn numpy_arrays_and_plain_values_are_read_in_every_form() {
    for (protocol, bytes) in [(0, PROTOCOL_0), (2, PROTOCOL_2), (4, PROTOCOL_4)] {
        let pickle = parse(bytes, &numpy).unwrap_or_else(|e| panic!("protocol {protocol}: {e}"));
        let (shape, data) = array_bytes(&pickle);
        assert_eq!(shape, [2, 6]);
        assert_eq!(data, (200..212).collect::<Vec<u8>>());
        let root = pickle.root();
        let labels = root.get("labels").unwrap().items().unwrap();
        assert_eq!(
            labels.filter_map(|v| v.as_i64()).collect::<Vec<_>>(),
            [3, 250]
        );
        assert_eq!(root.get("名").unwrap().as_i64(), Some(-5));
        assert_eq!(root.get("f").unwrap().as_f64(), Some(1.5));
        assert_eq!(root.get("big").unwrap().as_i64(), Some(1 << 40));
        assert_eq!(root.get("neg").unwrap().as_i64(), Some(-1 << 40));
        assert_eq!(root.get("t").unwrap().items().unwrap().len(), 4);
        assert!(root.get("n").unwrap().is_none());
        assert_eq!(root.get("b").unwrap().as_bool(), Some(true));
        assert_eq!(root.entries().unwrap().len(), 9);
    }
}

#[test]
fn byte_strings_of_python_2_are_keys_and_data() {
    let pickle = parse(PYTHON_2, &numpy).unwrap();
    assert_eq!(array_bytes(&pickle), (vec![1, 3], vec![200, 201, 202]));
    let labels = pickle.root().get("labels").unwrap();
    assert_eq!(labels.items().unwrap().next().unwrap().as_i64(), Some(7));
}

#[test]
fn a_tensor_is_a_call_on_a_persistent_storage() {
    // OrderedDict([("w", _rebuild_tensor_v2(storage, 0, (2,), (1,), False, OrderedDict()))]) with an attribute, and
    // the same storage once more through the memo.
    let bytes = b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(X\x01\x00\x00\x00wq\x02\
        ctorch._utils\n_rebuild_tensor_v2\nq\x03((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000\
        X\x03\x00\x00\x00cpuK\x02tQq\x04K\x00K\x02\x85K\x01\x85\x89h\x00)RtRX\x01\x00\x00\x00vh\x04u\
        }X\x09\x00\x00\x00_metadata}sb.";
    let pickle = parse(bytes, &|_, _| true).unwrap();
    let root = pickle.root();
    assert_eq!(root.call().unwrap().name, "OrderedDict");
    assert!(
        root.call()
            .unwrap()
            .state
            .unwrap()
            .get("_metadata")
            .is_some()
    );
    let tensor = root.get("w").unwrap().call().unwrap();
    assert_eq!(
        (tensor.module, tensor.name),
        ("torch._utils", "_rebuild_tensor_v2")
    );
    for storage in [tensor.args[0], root.get("v").unwrap()] {
        let id: Vec<_> = storage.persistent().unwrap().items().unwrap().collect();
        assert_eq!(id[0].as_str(), Some("storage"));
        assert_eq!(id[1].global(), Some(("torch", "FloatStorage")));
        assert_eq!(id[4].as_usize(), Some(2));
    }
}

#[test]
fn the_state_dict_of_a_real_weights_file_is_read() {
    let data = std::env::var_os("DRIFTLINE_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = data.join("resnet18_cifar10.pth");
    let Ok(file) = File::open(&path) else {
        println!(
            "skipped the state dict of a real file: {} is missing",
            path.display()
        );
        return;
    };
    let mut archive = zip::ZipArchive::new(file).unwrap();
    let mut bytes = Vec::new();
    let name = "resnet18_cifar10/data.pkl";
    archive
        .by_name(name)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    let torch = |module: &str, name: &str| {
        matches!(
            (module, name),
            ("collections", "OrderedDict")
                | ("torch._utils", "_rebuild_tensor_v2")
                | ("torch", "FloatStorage" | "LongStorage")
        )
    };
    let pickle = parse(&bytes, &torch).unwrap();
    let tensors = pickle.root().entries().unwrap();
    // 62 weights, and three statistics of each of the 20 batch norms.
    assert_eq!(tensors.len(), 62 + 2 + 60);
    for (name, tensor) in tensors {
        let call = tensor.call().unwrap();
        assert_eq!(call.name, "_rebuild_tensor_v2", "{:?}", name.as_str());
        assert_eq!(call.args[0].persistent().unwrap().items().unwrap().len(), 5);
    }
    let weight = pickle.root().get("fc.0.weight").unwrap().call().unwrap();
    let shape: Vec<_> = weight.args[2]
        .items()
        .unwrap()
        .map(|v| v.as_i64())
        .collect();
    assert_eq!(shape, [Some(128), Some(512)]);
}

#[test]
fn a_name_that_is_not_allowed_is_refused_and_said() {
    let system = b"cos\nsystem\n(S'echo hello'\ntR.";
    let text = error(system).to_string();
    assert!(text.contains("`os.system`"), "{text}");
    let stacked = b"\x80\x04\x8c\x02os\x8c\x06system\x93.";
    assert!(error(stacked).to_string().contains("`os.system`"));
}

#[test]
fn malformed_pickles_say_what_is_wrong() {
    for (bytes, expected) in [
        (&b""[..], "ends early"),
        (b"\x80\x02K", "ends early"),
        (b"X\xff\xff\xff\xffabc", "ends early"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc", "ends early"),
        (b"\x80\x09.", "protocol 9"),
        (b"\xff.", "opcode 0xff"),
        (b"i__main__\nA\n.", "opcode 0x69"),
        (b".", "stack is empty"),
        (b"t.", "no mark"),
        (b"h\x05.", "place 5 of the memo is empty"),
        (b"}(K\x01u.", "has no value"),
        (b"K\x01K\x02a.", "not a list"),
        (b"]K\x01K\x02s.", "not a dict"),
        (b"K\x01)R.", "not the name of a class"),
        (b"cnumpy\ndtype\nK\x01R.", "not a tuple"),
        (b"]}b.", "not an object"),
        (b"cnumpy\ndtype\n)R}b}b.", "state twice"),
        (
            b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.",
            "does not fit 64 bits",
        ),
        (b"L99999999999999999999L\n.", "not an integer of 64 bits"),
        (b"Fabc\n.", "is not a number"),
        (b"Sabc\n.", "malformed"),
        (b"\x8c\x01\xff.", "not UTF-8"),
        (b"]q\x00h\x00a.", "contains itself"),
    ] {
        let error = error(bytes);
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let text = error.to_string();
        assert!(text.contains(expected), "{bytes:?}: {text}");
    }
}

#[test]
fn pop_takes_a_mark_away_when_nothing_lies_on_it() {
    let pickle = parse(b"K\x01(0.", &numpy).unwrap();
    assert_eq!(pickle.root().as_i64(), Some(1));
}

#[test]
fn nesting_is_limited_whichever_way_it_is_made() {
    let nested = |levels: usize| {
        let mut bytes = b"N".to_vec();
        bytes.extend(std::iter::repeat_n(0x85, levels));
        bytes.push(b'.');
        bytes
    };
    assert!(parse(&nested(MAX_DEPTH - 1), &numpy).is_ok());
    for levels in [MAX_DEPTH, 1_000_000] {
        assert!(
            error(&nested(levels))
                .to_string()
                .contains("deeper than 64")
        );
    }
    // A shared value of 40 levels below another 40: each is fine alone.
    let mut bytes = b"N".to_vec();
    bytes.extend([0x85; 40]);
    bytes.extend(b"q\x000(h\x00h\x00");
    bytes.extend([0x85; 40]);
    bytes.extend(b"t.");
    assert!(error(&bytes).to_string().contains("deeper than 64"));
}

#[test]
fn a_value_repeated_through_the_memo_is_kept_once() {
    // Each level is a pair of the level below: 2^50 leaves if they were copied.
    let mut bytes = b"N".to_vec();
    for _ in 0..50 {
        bytes.extend(b"2\x86");
    }
    bytes.push(b'.');
    let pickle = parse(&bytes, &numpy).unwrap();
    assert_eq!(pickle.root().items().unwrap().len(), 2);
    assert_eq!(format!("{:?}", pickle.root()).lines().count(), 1);
}

#[test]
fn every_cut_of_a_pickle_is_an_error() {
    for whole in [PROTOCOL_0, PROTOCOL_2, PROTOCOL_4, PYTHON_2] {
        for end in 0..whole.len() {
            assert!(parse(&whole[..end], &numpy).is_err(), "{end}");
        }
    }
}

/// Each line is a program whose every byte, or two, makes a value, a place on the stack or in a list, a mark or text.
#[test]
fn programs_that_grow_are_stopped_by_the_budget() {
    let repeated = |start: &[u8], part: &[u8]| {
        let mut bytes = start.to_vec();
        bytes.extend(part.repeat((16 << 20) / part.len()));
        bytes
    };
    let memo: Vec<u8> = (0..2_000_000_u32)
        .flat_map(|slot| [&b"r"[..], &slot.to_le_bytes()].concat())
        .collect();
    let mut latin1 = b"V".to_vec();
    latin1.resize(20 << 20, 0xe9);
    latin1.push(b'\n');
    for bytes in [
        repeated(b"", b"]"),
        repeated(b"", b"N0"),
        repeated(b"", b"("),
        repeated(b"N", b"2"),
        repeated(b"Nq\0", b"h\0"),
        repeated(b"]Nq\x000", b"(h\0h\0h\0e"),
        repeated(b"}Nq\x000", b"h\0h\0s"),
        repeated(b"", b"(lN"),
        [b"N".to_vec(), memo].concat(),
        latin1,
    ] {
        let mut budget = Budget::new(64 << 20);
        let error = driftline_pickle::parse(&bytes, &numpy, &mut budget).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("limit of 64 MiB"),
            "{:?}: {text}",
            &bytes[..8]
        );
    }
}

#[test]
fn a_message_shows_the_beginning_of_a_long_text() {
    let mut bytes = b"F".to_vec();
    bytes.resize(1 << 20, 1);
    bytes.extend(b"\n.");
    let text = error(&bytes).to_string();
    assert!(
        text.contains("is not a number") && text.len() < 1_000,
        "{text}"
    );
}

/// Bytes that are mostly opcodes, so that random programs go deep.
fn opcodes() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<u8> = b"(.012NKMJILGFTBUCSXV]})tldaesucRbPQpqrgh j\n"
        .iter()
        .copied()
        .chain(0x80..=0x96)
        .collect();
    prop::collection::vec(
        prop_oneof![4 => prop::sample::select(known), 1 => any::<u8>()],
        0..200,
    )
}

fn walk(pickle: &Pickle<'_>) {
    let root = pickle.root();
    let _ = (
        root.kind(),
        root.as_str(),
        root.as_bytes(),
        root.get("x"),
        root.call(),
    );
    let _ = format!("{root:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn random_programs_never_panic(bytes in opcodes()) {
        if let Ok(pickle) = parse(&bytes, &|_, _| true) {
            walk(&pickle);
        }
    }

    #[test]
    fn a_changed_byte_never_panics(at in 0..PROTOCOL_2.len(), byte: u8) {
        let mut bytes = PROTOCOL_2.to_vec();
        bytes[at] = byte;
        if let Ok(pickle) = parse(&bytes, &|_, _| true) {
            walk(&pickle);
        }
    }
}
