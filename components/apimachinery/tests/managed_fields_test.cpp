// managedFields against a table of what Kubernetes' field manager answers: one request a line in
// tests/managed_fields/*.jsonl. MANAGED_FIELDS_CASES names a folder with more of them.
#include "apimachinery/managed_fields.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "apimachinery/api/core_v1.h"
#include "apimachinery/api/meta_v1.h"
#include "apimachinery/edit.h"
#include "apimachinery/json.h"
#include "apimachinery/registry.h"

using namespace rusternetes;
using namespace rusternetes::apimachinery;

namespace {

constexpr std::int64_t now_us = 1'893'456'000'000'000;  // 2030-01-01

std::string print(const Value& any) {
  std::string text;
  encode_json_any(text, any);
  return text;
}

// What managedFields holds, as a schemaless tree.
std::string managed_fields_text(Arena& arena, const Kind& kind, const Value& object) {
  auto any = to_any(arena, object, *kind.type);
  REQUIRE(any);
  const Value* metadata = any->lookup("metadata");
  const Value* list = metadata ? metadata->lookup("managedFields") : nullptr;
  return list ? print(*list) : "null";
}

// A client's empty list means something, so it must not be lost.
void keep_empty_list(Arena& arena, const Kind& kind, const Value& sent, Value& object) {
  const Value* metadata = sent.lookup("metadata");
  const Value* list = metadata ? metadata->lookup("managedFields") : nullptr;
  if (!list || list->kind != ValueKind::list || list->size > 0) return;
  Value& place = ensure(arena, object, kind.type->find("metadata"));
  ensure(arena, place, meta_v1::ObjectMeta::f_managedFields, ValueKind::list);
}

int check_file(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string line;
  int count = 0;
  while (std::getline(in, line)) {
    Arena arena;
    auto row = decode_json_any(arena, line);
    REQUIRE(row);
    ++count;
    const auto text = [&](std::string_view name) { return row->lookup(name)->str(); };
    const Kind* kind = Registry::builtin()->find_kind(text("apiVersion"), text("kind"));
    if (!kind) continue;
    auto fresh = convert_any(arena, *row->lookup("new"), *kind->type);
    REQUIRE(fresh);
    keep_empty_list(arena, *kind, *row->lookup("new"), *fresh);
    std::optional<Value> old;
    if (const Value* sent = row->lookup("old")) {
      auto converted = convert_any(arena, *sent, *kind->type);
      REQUIRE(converted);
      old = *converted;
    }
    const FieldSet resets =
        text("subresource").empty()
            ? field_set_of(arena, {{"status"}})
            : field_set_of(arena, {{"spec"}, {"metadata", "labels"}});
    ManagedFieldsRequest request;
    request.manager = text("manager");
    request.subresource = text("subresource");
    request.now_us = now_us;
    if (row->lookup("resetStatus")->boolean) request.reset_fields = &resets;
    const Value before = old ? deep_copy(arena, *old) : Value{};
    update_managed_fields(arena, *kind, *fresh, old ? &*old : nullptr, request);
    const std::string got = managed_fields_text(arena, *kind, *fresh), want = print(*row->lookup("want"));
    if (got != want) {
      INFO(path.filename().string() << ":" << count << " " << text("kind"));
      CHECK(got == want);
    }
    if (old) CHECK(equal(before, *old));
  }
  return count;
}

}  // namespace

TEST_CASE("managedFields become what Kubernetes' field manager makes of them") {
  const char* more = std::getenv("MANAGED_FIELDS_CASES");
  const std::filesystem::path folder =
      more ? more : RUSTERNETES_SOURCE_DIR "/components/apimachinery/tests/managed_fields";
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".jsonl") count += check_file(entry.path());
  CHECK(count >= 50);
}
