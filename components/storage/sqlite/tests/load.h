#pragma once
// Writers for the crash tests. What the n-th transaction of a writer does follows from its number alone, so
// that whoever finds it in a store, acknowledged or not, knows what must be there. Each one ends with a put
// of the writer's stamp, whose value is n, and demands that the stamp was not changed since the writer's last
// transaction.

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "storage/store.h"

namespace rusternetes::storage::testing {

inline constexpr int writer_count = 16;
inline constexpr const char* all_keys = "/w/";

std::string stamp_key(int writer);
// `stamp_revision`: the mod_revision of the writer's stamp before; 0 if there is none.
TxnRequest transaction(int writer, std::int64_t n, Revision stamp_revision);

// Blocks until the store has answered.
Result<TxnResponse> run(Store& store, TxnRequest request);
Result<void> compact(Store& store, Revision revision);

struct Stamp {
  std::int64_t n = 0;
  Revision revision = 0;
};
Result<Stamp> read_stamp(Store& store, int writer);

// All writers at once, each on a thread of its own and with one transaction under way.
class Load {
 public:
  using Acked = std::function<void(int writer, std::int64_t n, Revision revision)>;
  struct Options {
    std::int64_t transactions = INT64_MAX;  // of each writer
    // After an error: end, or look what became of the transaction and go on.
    bool goes_on_after_errors = false;
  };
  // `acked` comes on the writers' threads, one call at a time.
  Load(Store& store, Options options, Acked acked);
  ~Load();
  void stop();  // after the transaction under way
  void join();  // until all writers have ended
  std::vector<Status> errors();

 private:
  void write(int writer);
  void add_error(Status error);
  Store& store_;
  const Options options_;
  const Acked acked_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<Status> errors_;
  std::vector<std::thread> threads_;
};

}  // namespace rusternetes::storage::testing
