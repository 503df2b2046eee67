#pragma once
// What one client does at a time: long lists, the way from a create to its event, and a Pod's way to Running.

#include <string>
#include <vector>

#include "base/status.h"
#include "http/client.h"

namespace rusternetes::bench {

struct ListReport {
  std::vector<float> walls_ms;  // in order; until the last byte was read
  std::size_t bytes = 0;        // of the last body
};
// Lists all Pods of the namespace `count` times on one connection. `accept` is the media type.
Result<ListReport> run_lists(const http::Endpoint& endpoint, const std::string& accept, std::size_t count);

// From just before a Pod is sent by one connection until its event has been read from a watch on another; one
// at a time. The Pods are PREFIX-0, PREFIX-1, ... Sorted.
Result<std::vector<float>> run_watch(const http::Endpoint& endpoint, const std::string& prefix,
                                     std::size_t count);

struct RunningReport {
  double created_ms = 0;  // with a manifest: until the answer to the create
  double running_ms = 0;  // with a manifest: from just before the create until the event that says Running
  std::int64_t running_at_ns = 0;  // CLOCK_MONOTONIC when that event was read
};
// Watches the Pod until its phase is Running. `manifest` is JSON to create it from once the watch is open;
// if it is empty, "watching" is printed then and somebody else creates the Pod.
Result<RunningReport> await_running(const http::Endpoint& endpoint, const std::string& pod_name_space,
                                    const std::string& name, const std::string& manifest);

// Creates the namespace of the load and its default service account, unless they are there.
Result<void> prepare(const http::Endpoint& endpoint);

}  // namespace rusternetes::bench
