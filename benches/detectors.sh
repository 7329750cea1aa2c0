#!/usr/bin/env bash
# The tables of docs/src/reference/detectors.md, from any images:
#
#     benches/detectors.sh IMAGES MODEL [FOLDER]
#
# Embeds IMAGES with MODEL, as `driftline embed` takes them (6,000 images at least), as they are, with the two drifts of the
# notebook and with every corruption; asks driftline about windows of them, then the Python detectors, which it installs;
# measures false alarms; prints Markdown. FOLDER keeps what is done (by default `detectors`), and a second call goes on from
# there. Hours on two cores, most of them of the Python detectors.
set -euo pipefail

images=$1 model=$2 folder=$(realpath -m "${3:-detectors}")
benches=$(dirname "$(realpath "$0")")
peers=$benches/detectors_vs_python.py
mkdir -p "$folder/cells" "$folder/notebook"

bench() {
    cargo run --release --quiet --manifest-path "$benches/Cargo.toml" --bin "$@"
}

# A file of rows, unless it is there, with a transform.
embed() {
    [ -f "$1" ] || cargo run --release --quiet --manifest-path "$benches/../crates/cli/Cargo.toml" -- \
        --plugin-path "$folder/plugins" embed "$images" --model "$model" --transform "$2" -o "$1" --quiet >&2
}

cargo run --quiet --manifest-path "$benches/../crates/xtask/Cargo.toml" -- plugin corruptions --into "$folder/plugins" >&2
if [ ! -f "$folder/python/installed" ]; then
    python3 -m venv --clear "$folder/python"
    "$folder/python/bin/pip" install --quiet -r "$benches/detectors-requirements.txt"
    # It asks for a numba older than the one DataEval needs, and uses it in none of the detectors here.
    "$folder/python/bin/pip" install --quiet --no-deps alibi-detect==0.13.0
    touch "$folder/python/installed"
fi

embed "$folder/cells/clean.parquet" none
cp "$folder/cells/clean.parquet" "$folder/notebook/clean.parquet"
embed "$folder/notebook/blur-1.parquet" 'gaussian_blur(sigma=0.1..2)'
embed "$folder/notebook/darkening-1.parquet" 'brightness(factor=0.4..0.6)'
for name in gaussian_noise shot_noise impulse_noise speckle_noise gaussian_blur_c defocus_blur glass_blur motion_blur \
    zoom_blur snow frost fog spatter brightness_c contrast saturate elastic_transform pixelate jpeg_compression; do
    for severity in 1 2 3 4 5; do
        embed "$folder/cells/$name-$severity.parquet" "$name(severity=$severity)"
    done
done

printf '## The drifts of the notebook\n\n'
for rows in 10 20; do
    bench detectors "$folder/notebook" 400 $rows > "$folder/notebook-$rows.json"
done
"$folder/python/bin/python" "$peers" --by-statistic "$folder/notebook-10.json" "$folder/notebook-20.json"

printf '\n## Detectors over corruptions\n\n'
bench detectors "$folder/cells" 400 > "$folder/driftline.json"
if [ ! -f "$folder/peers.json" ]; then
    "$folder/python/bin/python" "$peers" "$folder/cells" --quick --windows 20 --slow-windows 20 --slow-baseline 2000 \
        --driftline "$folder/driftline.json" -o "$folder/peers.json.part" >&2
    mv "$folder/peers.json.part" "$folder/peers.json"
fi
"$folder/python/bin/python" "$peers" --report --driftline "$folder/driftline.json" -o "$folder/peers.json"

printf '\n## False alarms\n\n'
bench calibration "$folder/cells/clean.parquet"
