#pragma once
// The objects that a load consists of, as JSON text: a small Pod of a web service (1.8 KB as a server answers
// it) before a kubelet has reported it, and after (4.1 KB).

#include <cstddef>
#include <string>

namespace rusternetes::bench {

inline constexpr const char* name_space = "bench";

// "pod-000042"
std::string pod_name(std::size_t n);
// A Pod as a ReplicaSet would make it, without node and status. No token is mounted.
std::string bare_pod(const std::string& name);
// The `status` that a kubelet writes when the container runs; `n` makes addresses and ids differ.
std::string running_status(std::size_t n);
// A merge patch of one label and one annotation.
std::string small_patch(std::size_t turn);

}  // namespace rusternetes::bench
