// How long one Pod takes through each codec, and into and out of its immutable form: the CPU that every
// request pays.

#include <benchmark/benchmark.h>

#include <string>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/document.h"
#include "apimachinery/json.h"
#include "apimachinery/protobuf.h"
#include "load/objects.h"

namespace {

using namespace rusternetes;
using namespace rusternetes::apimachinery;

const Type& pod_type() { return core_v1::Pod::schema_type(); }

// A Running Pod: the two texts, one behind the other, in one object.
std::string pod_json() {
  std::string pod = bench::bare_pod(bench::pod_name(42));
  const std::string status = bench::running_status(42);
  pod.back() = ',';
  pod.append(status, 1);
  return pod;
}

Document pod_document() {
  Arena arena;
  auto value = decode_json(arena, pod_json(), pod_type());
  return Document::freeze(*value, pod_type());
}

std::string pod_protobuf() {
  std::string out;
  const Document pod = pod_document();
  encode_protobuf(out, &pod.root(), pod_type());
  return out;
}

void finish(benchmark::State& state, std::size_t bytes) {
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
  state.counters["bytes"] = static_cast<double>(bytes);
}

void decode_json_pod(benchmark::State& state) {
  const std::string text = pod_json();
  for ([[maybe_unused]] auto _ : state) {
    Arena arena;
    auto value = decode_json(arena, text, pod_type());
    benchmark::DoNotOptimize(value);
  }
  finish(state, text.size());
}
BENCHMARK(decode_json_pod);

void encode_json_pod(benchmark::State& state) {
  const Document pod = pod_document();
  std::string out;
  for ([[maybe_unused]] auto _ : state) {
    out.clear();
    encode_json(out, &pod.root(), pod_type(), {"v1", "Pod", true});
    benchmark::DoNotOptimize(out.data());
  }
  finish(state, out.size());
}
BENCHMARK(encode_json_pod);

void decode_protobuf_pod(benchmark::State& state) {
  const std::string bytes = pod_protobuf();
  for ([[maybe_unused]] auto _ : state) {
    Arena arena;
    auto value = decode_protobuf(arena, bytes, pod_type());
    benchmark::DoNotOptimize(value);
  }
  finish(state, bytes.size());
}
BENCHMARK(decode_protobuf_pod);

void encode_protobuf_pod(benchmark::State& state) {
  const Document pod = pod_document();
  std::string out;
  for ([[maybe_unused]] auto _ : state) {
    out.clear();
    encode_protobuf(out, &pod.root(), pod_type());
    benchmark::DoNotOptimize(out.data());
  }
  finish(state, out.size());
}
BENCHMARK(encode_protobuf_pod);

void freeze_pod(benchmark::State& state) {
  Arena arena;
  auto value = decode_json(arena, pod_json(), pod_type());
  std::size_t size = 0;
  for ([[maybe_unused]] auto _ : state) {
    const Document pod = Document::freeze(*value, pod_type());
    size = pod.size();
    benchmark::DoNotOptimize(size);
  }
  finish(state, size);
}
BENCHMARK(freeze_pod);

}  // namespace

BENCHMARK_MAIN();
