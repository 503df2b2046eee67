#pragma once
// What bench_store can be asked for.

#include <string>

#include "base/status.h"
#include "store/endpoint.h"

namespace rusternetes::bench {

struct StoreFlags {
  EndpointOptions endpoint;
  std::string prefix = "watched";
  std::size_t from = 0, count = 1000, keys = 20'000, workers = 64, value_bytes = 1024;
  std::size_t watchers = 1000, streams = 100, writes_per_second = 1000;
  std::int64_t limit = 0;
  bool is_same = false;
  int server_pid = 0;  // of a server on this host, whose CPU time is told with the rate
};

// The measurement as one line of JSON.
Result<std::string> run_word(const std::string& word, const StoreFlags& flags);

// The words, each in a file with what is like it. Rates (rates.cpp):
Result<std::string> run_rate(const std::string& word, const Channels& channels, const StoreFlags& flags);
// Ranges (pages.cpp):
Result<std::string> run_pages(const Channels& channels, const StoreFlags& flags);
Result<std::string> run_older(const Channels& channels, const StoreFlags& flags);
// Watches (watches.cpp):
Result<std::string> run_watch(const Channels& channels, const StoreFlags& flags);
Result<std::string> run_watchers(const Channels& channels, const StoreFlags& flags);

}  // namespace rusternetes::bench
