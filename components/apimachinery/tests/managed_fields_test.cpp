// managedFields against a table of what Kubernetes' field manager answers: one request a line in
// tests/managed_fields/*.jsonl. MANAGED_FIELDS_CASES names a folder with more of them.
#include "apimachinery/managed_fields.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
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
    const FieldSet resets = text("subresource").empty()
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

namespace {

struct Pod {
  Arena arena;
  const Kind* kind = Registry::builtin()->find_kind("v1", "Pod");
  Value value;
  explicit Pod(std::string_view json) {
    auto decoded = decode_json(arena, json, *kind->type);
    REQUIRE(decoded);
    value = *decoded;
  }
  core_v1::Pod view() const { return core_v1::Pod(&value); }
  void update(const Pod* old, std::string_view manager, std::int64_t at_us,
              const VersionConverter* convert = nullptr) {
    ManagedFieldsRequest request;
    request.manager = manager;
    request.now_us = at_us;
    request.convert = convert;
    update_managed_fields(arena, *kind, value, old ? &old->value : nullptr, request);
  }
  std::vector<std::string> managers() const {
    std::vector<std::string> names;
    for (const auto entry : view().metadata().managedFields()) names.emplace_back(entry.manager());
    return names;
  }
};

std::string pod_json(int labels) {
  std::string json = R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","uid":"u","labels":{)";
  for (int i = 0; i < labels; ++i) json += fmt::format(R"({}"l{}":"1")", i ? "," : "", i);
  return json + "}}}";
}

}  // namespace

TEST_CASE("more than ten updaters: the oldest become ancient-changes") {
  auto current = std::make_unique<Pod>(pod_json(1));
  current->update(nullptr, "m00", now_us);
  for (int i = 1; i <= 11; ++i) {
    auto next = std::make_unique<Pod>(pod_json(i + 1));
    next->update(current.get(), fmt::format("m{:02}", i), now_us + i * 1'000'000);
    CHECK(next->managers().size() == std::min<std::size_t>(10, static_cast<std::size_t>(i) + 1));
    current = std::move(next);
  }
  const auto entries = current->view().metadata().managedFields();
  CHECK(entries[0].manager() == "ancient-changes");
  CHECK(entries[0].time() == now_us + 2 * 1'000'000);
  CHECK(entries[0].fieldsV1() == R"({"f:metadata":{"f:labels":{".":{},"f:l0":{},"f:l1":{},"f:l2":{}}}})");
  CHECK(entries[1].manager() == "m03");
}

TEST_CASE("a change of times alone is taken back") {
  Pod old(R"({"metadata":{"name":"a","uid":"u","labels":{"a":"1"}}})");
  old.update(nullptr, "one", now_us);
  Pod same(R"({"metadata":{"name":"a","uid":"u","labels":{"a":"1"}}})");
  same.update(&old, "one", now_us + 5'000'000);
  // Nothing changed, so the entry kept its time.
  CHECK(equal(same.value, old.value));
  // A request that changed something which was then undone (by admission) leaves only the time.
  Value& metadata = *same.value.get(core_v1::Pod::f_metadata);
  Value& entry = metadata.get(meta_v1::ObjectMeta::f_managedFields)->items[0];
  set_time(same.arena, entry, meta_v1::ManagedFieldsEntry::f_time, now_us + 9'000'000);
  CHECK_FALSE(equal(same.value, old.value));
  keep_managed_fields_times(same.arena, *same.kind, same.value, old.value);
  CHECK(equal(same.value, old.value));
  // Any other difference keeps the new time.
  Pod other(R"({"metadata":{"name":"a","uid":"u","labels":{"a":"2"}}})");
  other.update(&old, "one", now_us + 5'000'000);
  keep_managed_fields_times(other.arena, *other.kind, other.value, old.value);
  CHECK(other.view().metadata().managedFields()[0].time() == now_us + 5'000'000);
}

TEST_CASE("entries of versions that are gone are dropped") {
  Pod old(R"({"metadata":{"name":"a","uid":"u","labels":{"a":"1"},"managedFields":[
    {"manager":"x","operation":"Update","apiVersion":"v0","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:labels":{"f:a":{}}}}},
    {"manager":"y","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:labels":{"f:a":{}}}}}]}})");
  Pod next(R"({"metadata":{"name":"a","uid":"u","labels":{"a":"1","b":"1"}}})");
  const VersionConverter none = [](Arena&, const Value&, std::string_view) { return VersionedObject{}; };
  next.update(&old, "z", now_us, &none);
  CHECK(next.managers() == std::vector<std::string>{"y", "z"});
}

TEST_CASE("valid managedFields are told from others") {
  auto is_valid = [](std::string_view entries) {
    Pod pod(fmt::format(R"({{"metadata":{{"managedFields":{}}}}})", entries));
    return are_managed_fields_valid(*pod.value.get(core_v1::Pod::f_metadata));
  };
  CHECK(is_valid(
      R"([{"manager":"x","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{}}])"));
  CHECK_FALSE(
      is_valid(R"([{"manager":"x","operation":"Delete","apiVersion":"v1","fieldsType":"FieldsV1"}])"));
  CHECK_FALSE(is_valid(R"([{"manager":"x","operation":"Update","fieldsType":"FieldsV1"}])"));
  CHECK_FALSE(is_valid(R"([{"manager":"x","operation":"Update","apiVersion":"v1"}])"));
  CHECK_FALSE(is_valid(
      R"([{"manager":"x","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"bad":{}}}])"));
}

TEST_CASE("a user agent names the manager") {
  CHECK(manager_from_user_agent("kubectl/v1.35.0 (linux/amd64) kubernetes/abc") == "kubectl");
  CHECK(manager_from_user_agent("") == "");
  CHECK(manager_from_user_agent("a\tb\x7F"
                                "c") == "abc");
  CHECK(manager_from_user_agent(std::string(200, 'x')).size() == 128);
  CHECK(manager_from_user_agent(std::string(127, 'x') + "\xC3\xA9").size() == 127);
}
