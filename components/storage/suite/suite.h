#pragma once
// The cases of this folder, and what they run on. A test program defines subjects(); every case is registered
// with Catch2 once for each of them.

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "storage/store.h"

namespace rusternetes::storage::suite {

// One store, empty at revision 1 when it is opened, for one case.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;
  virtual Store& store() = 0;
  // Closes the store, ends what is behind it without warning where that is a process, and opens it again over
  // the same data. What store() gave before is gone.
  virtual void restart() = 0;

  // The shortest time to live that a lease gets; what asks for less gets this.
  std::int64_t shortest_ttl_s = 1;
  // Whether a watch whose keys nobody touches learns that time goes on (etcd from 3.4.31 and 3.5.13 on).
  bool tells_progress = true;
  // etcd before 3.5.17: a removal at exactly the revision that was compacted to is no longer told to a watch
  // that starts there.
  bool keeps_removals_at_compaction = true;
};

struct Subject {
  std::string name;
  std::function<std::unique_ptr<StoreUnderTest>()> open;
  // Why this host cannot have it, as a sentence; then the cases are one that says so.
  std::string missing = {};
};

// Defined by the test program. Called while static objects are made, so it opens nothing.
std::vector<Subject> subjects();

using Case = void (*)(StoreUnderTest& subject, Store& store);
struct Registration {
  Registration(const char* name, Case run, const Catch::SourceLineInfo& line);
};

}  // namespace rusternetes::storage::suite

// STORE_CASE("behaviour") { ... }: has `store`, and for what is not of the interface `subject`.
#define STORE_CASE_IN_(name, function, registered)                                                  \
  static void function(rusternetes::storage::suite::StoreUnderTest&, rusternetes::storage::Store&); \
  static const rusternetes::storage::suite::Registration registered(name, &function,                \
                                                                    CATCH_INTERNAL_LINEINFO);       \
  static void function([[maybe_unused]] rusternetes::storage::suite::StoreUnderTest& subject,       \
                       [[maybe_unused]] rusternetes::storage::Store& store)
#define STORE_CASE(name) \
  STORE_CASE_IN_(name, RN_CONCAT(store_case_, __LINE__), RN_CONCAT(registered_, __LINE__))
