#!/usr/bin/env bash
# Runs the tests of this folder without a GPU: on Mesa's software device, with a Vulkan build of the llama.cpp that is installed here.
#
#     tests/gpu/vulkan_software.sh [FOLDER] [arguments of pytest]
#
# FOLDER, `build/vulkan` unless named, keeps headers, sources and objects: the first run takes a quarter of an hour on 2 cores, later ones
# only run the tests. Needs Debian 12 or later: `glslc` and `mesa-vulkan-drivers` are installed where they are missing, for which one has to
# be root; the headers, newer than Debian 12 has them, are unpacked in FOLDER. No Python environment is changed: the tests run in the
# checkout's own (PYTHON names another), which finds the build by LLAMA_CPP_LIB_PATH.
set -euo pipefail
cd "$(dirname "$0")/../.."
say() { printf '\n== %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

case "${1:-}" in "" | -*) folder=build/vulkan ;; *) folder=$1 && shift ;; esac
python=${PYTHON:-.venv/bin/python}
"$python" -c 'import llama_cpp, pytest' || fail "$python has not what the tests need: run \`uv sync\`, or name a Python with PYTHON"
version=$("$python" -c 'from importlib.metadata import version; print(version("llama-cpp-python"))')
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
headers=$folder/headers/usr
sources=$folder/llama_cpp_python-$version
build=$folder/llama.cpp-$version

say "1. compiler of shaders and software device"
missing=()
command -v glslc >/dev/null || missing+=(glslc)
driver=$(find /usr/share/vulkan/icd.d -name 'lvp_icd*.json' 2>/dev/null | head -1)
[ -n "$driver" ] || missing+=(mesa-vulkan-drivers)
[ -n "$(ldconfig -p | grep libvulkan.so.1)" ] || missing+=(libvulkan1)
for tool in cmake ninja; do command -v "$tool" >/dev/null || missing+=("${tool/ninja/ninja-build}"); done
if [ ${#missing[@]} -gt 0 ]; then
    [ "$(id -u)" = 0 ] || fail "these packages are missing: ${missing[*]}"
    apt-get update -q && apt-get install -qy --no-install-recommends "${missing[@]}"
    driver=$(find /usr/share/vulkan/icd.d -name 'lvp_icd*.json' | head -1)
fi
loader=$(ldconfig -p | awk '/libvulkan.so.1 /{print $NF; exit}')
echo "$(command -v glslc), $driver, $loader" >&2

say "2. Vulkan's headers, 1.4.309 or later"
if [ ! -e "$headers/include/vulkan/vulkan.hpp" ]; then
    apt=$folder/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$folder/headers"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main" >"$apt/sources.list"
    options=(-qo "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null)
    options+=(-o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update || fail "Debian's package lists cannot be had"
    (cd "$apt" && apt-get "${options[@]}" download libvulkan-dev spirv-headers) || fail "Debian 13's headers cannot be had"
    for package in "$apt"/*.deb; do dpkg-deb -x "$package" "$folder/headers"; done
fi
grep -m1 'define VK_HEADER_VERSION ' "$headers/include/vulkan/vulkan_core.h" >&2

say "3. the sources of llama-cpp-python $version"
if [ ! -e "$sources/vendor/llama.cpp/CMakeLists.txt" ]; then
    # pip, in an environment that is thrown away: the checkout's need not have it.
    python3 -m venv "$folder/pip"
    "$folder/pip/bin/pip" download -q --no-deps --no-binary :all: -d "$folder" "llama-cpp-python==$version" || fail "they cannot be had"
    rm -rf "$folder/pip"
    tar -xzf "$folder/llama_cpp_python-$version.tar.gz" -C "$folder"
fi
echo "$sources" >&2

say "4. llama.cpp with Vulkan"
cmake -S "$sources/vendor/llama.cpp" -B "$build" -G Ninja -Wno-dev --log-level=WARNING \
    -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DGGML_VULKAN=ON -DCMAKE_CXX_FLAGS="-fno-tree-dse -fno-dse" \
    -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF \
    -DVulkan_INCLUDE_DIR="$headers/include" -DVulkan_LIBRARY="$loader" -DSPIRV-Headers_DIR="$headers/share/cmake/SPIRV-Headers" \
    -DCMAKE_CXX_STANDARD_INCLUDE_DIRECTORIES="$headers/include" >&2 || fail "CMake cannot configure it; its words are above"
ninja -C "$build" llama || fail "it does not build; the compiler's words are above"

say "5. the tests on the software device"
export LLAMA_CPP_LIB_PATH=$build/bin GGML_VK_VISIBLE_DEVICES=0 VK_DRIVER_FILES=$driver VK_ICD_FILENAMES=$driver
# What Mesa compiles for each shader takes seconds, up to a minute; it keeps that, for every process of the tests.
export MESA_SHADER_CACHE_DIR=$folder/mesa
mkdir -p "$MESA_SHADER_CACHE_DIR"
"$python" -c 'from studio.engine.llama.build import list_devices; print(*(f"{d.name}: {d.description}" for d in list_devices()), sep="\n")'
exec "$python" -m pytest -p no:cacheprovider tests/gpu "$@"
