#pragma once
// Which containers lost a process to the kernel's OOM killer, from /dev/kmsg: Podman never tells, and cgroup
// v1 forgets with the cgroup. Lines:
// `oom-kill:constraint=...,oom_memcg=/x,task_memcg=/x/libpod-ID,task=sh,pid=7,uid=0`.

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_set>

namespace rusternetes::engine {

class OomLog {
 public:
  explicit OomLog(std::string path = "/dev/kmsg") : path_(std::move(path)) {}
  ~OomLog();
  OomLog(const OomLog&) = delete;
  OomLog& operator=(const OomLog&) = delete;

  // Reads what is new in the ring (never blocks), then answers. False where /dev/kmsg cannot be read.
  bool was_killed(const std::string& container_id);
  // One record of the ring; a container's id is the 64 hex digits in the last part of task_memcg.
  void add_record(std::string_view record);

 private:
  void drain();
  std::string path_;
  int fd_ = -1;
  bool is_unreadable_ = false;
  std::unordered_set<std::string> killed_;
  std::deque<std::string> order_;  // the oldest is forgotten beyond a bound
};

}  // namespace rusternetes::engine
