#!/usr/bin/env bash
# The tests and figures of a GPU in one go, on a machine that has no network and little time for it.
#
#   hardware.sh pack FOLDER [--libs FOLDER] [--python 3.12] [--limit 48]
#       where there is a network (needs uv and curl): writes parcels of at most so many MB into FOLDER/1, FOLDER/2, ... They hold the project,
#       its packages for that Python on x86-64 Linux, the bundled model, and llama.cpp: its source, or the built libraries in --libs.
#   hardware.sh run FOLDER [OUT] [--budget 480] [--only STEP,...] [--tiny]
#       on the GPU machine, whose `python3` ($PYTHON) has PyTorch and numpy: unpacks the parcels, wherever they lie below FOLDER, builds
#       llama.cpp where there are no libraries (nvcc, cmake, ninja), and writes OUT/figures.json and OUT/log.txt (see figures.py).
#   hardware.sh build
#       the step of `run` that builds.
set -euo pipefail

# What the machine's own PyTorch brings, what only downloads and the command of a model's package ask for, and what would be built here.
LEFT_OUT='^( *#|(torch|triton|numpy|sympy|mpmath|networkx|setuptools|pip|llm|openai|jiter|hf-xet|llama-cpp-python|nvidia-[a-z0-9-]*|cuda-[a-z-]*)==)'
TEST_TOOLS='^(pytest|pytest-asyncio|pytest-xdist|execnet|iniconfig|pluggy|hypothesis|sortedcontainers|pyte|wcwidth)=='
# Of llama.cpp's source; the backends of other makers are no part of it.
SOURCES=(CMakeLists.txt LICENSE cmake licenses ggml include src vendor)
BACKENDS='blas cann et hexagon hip metal musa opencl openvino rpc sycl virtgpu vulkan webgpu zdnn zendnn'

EXTRACT='import sys, tarfile; tarfile.open(fileobj=sys.stdin.buffer, mode="r|gz").extractall(sys.argv[1], filter="data")'

fail() { echo "hardware.sh: $*" >&2; exit 2; }

pack() {
    local folder=${1:?FOLDER} libs='' python=3.12 limit=48
    shift
    while (($#)); do
        case $1 in
            --libs) libs=$2 ;;
            --python) python=$2 ;;
            --limit) limit=$2 ;;
            *) fail "no option $1" ;;
        esac
        shift 2
    done
    local root stage
    folder=$(realpath -m "$folder") libs=${libs:+$(realpath "$libs")}
    root=$(cd "$(dirname "$0")/../.." && pwd)
    stage=$(mktemp -d)
    trap "rm -rf '$stage'" EXIT
    cd "$root"
    { uv export -q --frozen --no-dev --extra train --no-hashes --no-emit-project | grep -vE "$LEFT_OUT"
      uv export -q --frozen --only-group dev --no-hashes | grep -E "$TEST_TOOLS"; } >"$stage/packages.txt"
    uv pip install -q --no-deps --link-mode copy --target "$stage/site" --python-version "$python" --python-platform x86_64-manylinux_2_28 -r "$stage/packages.txt" bitsandbytes
    find "$stage/site/bitsandbytes" -name 'libbitsandbytes_*.so' ! -name '*_cuda13*' -delete
    add_llama_cpp "$stage"
    if [ -n "$libs" ]; then
        # With the names that programs ask for, and the compiler's runtime of the machine they were built on.
        mkdir "$stage/site/llama_cpp/lib"
        find "$libs" -maxdepth 1 -name 'lib*.so*' -exec cp -a {} "$stage/site/llama_cpp/lib/" \;
        cp -L "$(gcc -print-file-name=libgomp.so.1)" "$stage/site/llama_cpp/lib/"
        rm -rf "$stage/llama.cpp"
    fi
    mkdir "$stage/project"
    git ls-files -z --cached --others --exclude-standard | tar -c --exclude 'tests/screenshots/*' --null -T - | tar -x -C "$stage/project"
    rm -rf "${folder:?}"/[0-9]*
    mkdir -p "$folder"
    tar -C "$stage" -c site project $([ -n "$libs" ] || echo llama.cpp) | gzip | split -b "${limit}MB" -a 1 --numeric-suffixes=1 - "$folder/parcel."
    part_of "$folder"
}

add_llama_cpp() { # STAGE: the bindings and the source, out of the locked package
    local stage=$1 line exclude=() backend
    line=$(grep -m1 -E '^sdist = .*/llama_cpp_python-' uv.lock)
    curl -sSf -o "$stage/sdist.tar.gz" "$(grep -oE 'https://[^"]+' <<<"$line")"
    echo "$(grep -oP '(?<=sha256:)[0-9a-f]+' <<<"$line")  $stage/sdist.tar.gz" | sha256sum -c --quiet
    mkdir "$stage/package"
    for backend in $BACKENDS; do exclude+=(--exclude "*/ggml/src/ggml-$backend"); done
    tar -xzf "$stage/sdist.tar.gz" -C "$stage/package" --strip-components 1 "${exclude[@]}"
    mkdir "$stage/llama.cpp"
    (cd "$stage/package/vendor/llama.cpp" && cp -a "${SOURCES[@]}" "$stage/llama.cpp/")
    cp -a "$stage/package/llama_cpp" "$stage/site/"
    local version
    version=$(grep -m1 -oP '(?<=^Version: ).*' "$stage/package/PKG-INFO")
    mkdir "$stage/site/llama_cpp_python-$version.dist-info"
    cp "$stage/package/PKG-INFO" "$stage/site/llama_cpp_python-$version.dist-info/METADATA"
}

part_of() { # FOLDER: each parcel into a folder of its own, with the checksums of all
    local folder=$1 count place
    count=$(find "$folder" -maxdepth 1 -name 'parcel.*' | wc -l)
    (cd "$folder" && sha256sum parcel.*) >"$folder/sums"
    for place in $(seq "$count"); do
        mkdir "$folder/$place"
        mv "$folder/parcel.$place" "$folder/$place/"
        cp "$folder/sums" "$root/tests/gpu/hardware.sh" "$folder/$place/"
    done
    rm "$folder/sums"
    du -h "$folder"/*/parcel.*
    echo "Bring $(seq -s ', ' -f "$folder/%.0f" "$count") below one folder of the GPU machine, one at a time if need be. There:"
    echo "  bash FOLDER/1/hardware.sh run FOLDER OUT --budget 480"
}

run() {
    local began folder=${1:?FOLDER} out=''
    began=$(date +%s)
    shift
    if (($#)) && [[ $1 != --* ]]; then out=$1; shift; fi
    mkdir -p "${out:=$folder/out}"
    folder=$(realpath "$folder") out=$(realpath "$out")
    export PYTHON=${PYTHON:-python3} STUDIO_GPU_WORK=${STUDIO_GPU_WORK:-${TMPDIR:-/tmp}/studio-gpu}
    unpack "$folder" "$STUDIO_GPU_WORK"
    cd "$STUDIO_GPU_WORK/project"
    environment
    "$PYTHON" -m gpu.figures "$out" --began "$began" "$@"
}

unpack() { # FOLDER WORK: once; a later run of the same parcels finds all as it is
    local folder=$1 work=$2 sums
    sums=$(find "$folder" -name sums -print -quit)
    [ -n "$sums" ] || fail "no parcels below $folder"
    cmp -s "$sums" "$work/sums" && return
    rm -rf "$work"
    mkdir -p "$work/parcels"
    find "$folder" -name 'parcel.*' -exec ln -s {} "$work/parcels/" \;
    (cd "$work/parcels" && sha256sum -c --quiet "$sums") || fail "a parcel is missing or damaged"
    cat "$work"/parcels/parcel.* | "$PYTHON" -c "$EXTRACT" "$work"
    cp "$sums" "$work/sums"
}

environment() {
    local work=$STUDIO_GPU_WORK nvidia
    export STUDIO_GPU_SITE=$work/site
    export PYTHONPATH=$work/project:$work/project/tests:$work/site
    export HOME=$work/home XDG_CACHE_HOME=$work/home/cache XDG_DATA_HOME=$work/home/data XDG_CONFIG_HOME=$work/home/config
    export PIP_NO_INDEX=1 HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1
    mkdir -p "$HOME"
    # CUDA's libraries are the toolkit's, or came with PyTorch.
    nvidia=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/nvidia/cu13/lib
    export LD_LIBRARY_PATH=$STUDIO_GPU_SITE/llama_cpp/lib:$nvidia:/usr/local/cuda/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export PATH=$PATH:/usr/local/cuda/bin
}

build() { # for the device at hand, on all cores
    local work=${STUDIO_GPU_WORK:?} cublas links architecture flags=()
    if command -v nvidia-smi >/dev/null; then
        architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | sed -n 1p | tr -d .)
        flags=(-DGGML_CUDA=ON -DGGML_CUDA_NO_VMM=ON "-DCMAKE_CUDA_ARCHITECTURES=$architecture-real")
        cublas=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/nvidia/cu13
        if ! find -L /usr/local/cuda/lib64 -name libcublas.so 2>/dev/null | grep -q . && [ -d "$cublas/lib" ]; then
            links=$work/cublas
            mkdir -p "$links"
            for name in cublas cublasLt; do ln -sf "$(find "$cublas/lib" -name "lib$name.so.*" -print -quit)" "$links/lib$name.so"; done
            export CPATH=$cublas/include${CPATH:+:$CPATH}
            flags+=("-DCUDA_cublas_LIBRARY=$links/libcublas.so" "-DCUDA_cublasLt_LIBRARY=$links/libcublasLt.so")
        fi
    fi
    cmake -S "$work/llama.cpp" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON \
        -DLLAMA_BUILD_{COMMON,TESTS,TOOLS,EXAMPLES,SERVER,APP}=OFF -DLLAMA_CURL=OFF -DCMAKE_CXX_FLAGS='-fno-tree-dse -fno-dse' "${flags[@]}"
    cmake --build "$work/build" --target llama -j "$(nproc)"
    mkdir -p "$work/site/llama_cpp/lib"
    cp -a "$work"/build/bin/lib*.so* "$work/site/llama_cpp/lib/"
}

case ${1:-} in
    pack | run | build) "$@" ;;
    *) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
