#include "api-server/cache/persistent_map.h"

#include <catch2/catch.hpp>
#include <map>
#include <random>

using namespace rusternetes::api_server;

namespace {
EntryPtr entry(const std::string& key, std::int64_t revision) { return EntryPtr(new ObjectEntry(key, revision, {})); }
}  // namespace

TEST_CASE("a persistent map agrees with a plain one, and old versions stay as they were") {
  PersistentMap map;
  std::map<std::string, std::int64_t> model;
  std::vector<std::pair<PersistentMap, std::map<std::string, std::int64_t>>> versions;
  std::mt19937 random(11);
  for (int i = 1; i < 20000; ++i) {
    const std::string key = "ns" + std::to_string(random() % 5) + "/pod" + std::to_string(random() % 600);
    if (random() % 5 < 2) {
      map = map.erase(key);
      model.erase(key);
    } else {
      map = map.put(entry(key, i));
      model[key] = i;
    }
    if (i % 4000 == 0) versions.emplace_back(map, model);
  }
  versions.emplace_back(map, model);
  for (const auto& [version, expected] : versions) {
    REQUIRE(version.size() == expected.size());
    auto cursor = version.from("");
    for (const auto& [key, revision] : expected) {
      const EntryPtr* next = cursor.next();
      REQUIRE(next);
      REQUIRE((*next)->key == key);
      REQUIRE((*next)->revision == revision);
      REQUIRE(version.find(key)->revision == revision);
    }
    CHECK(cursor.next() == nullptr);
    const auto count = std::distance(expected.lower_bound("ns2/"), expected.lower_bound("ns3/"));
    CHECK(version.count("ns2/", "ns3/") == static_cast<std::size_t>(count));
  }
}
