#include "base/memory_trim.h"

#include <malloc.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "base/log.h"

namespace rusternetes {

bool TrimPlan::is_due(const Look& look) {
  constexpr double kCalmShare = 0.2;  // of one processor
  constexpr std::uint64_t kWorth = 4 << 20;
  const auto before = std::exchange(last_, look);
  if (!before) return false;
  const auto busy = std::chrono::duration<double>(look.cpu_time - before->cpu_time);
  if (busy > kCalmShare * (look.now - before->now)) return false;
  if (trimmed_at_ && look.now - *trimmed_at_ < least_distance_) return false;
  const std::uint64_t kept = look.resident_bytes - std::min(look.resident_bytes, look.used_bytes);
  if (trimmed_at_) kept_bytes_ = std::min(kept_bytes_, kept);
  return kept >= kept_bytes_ + kWorth;
}

void TrimPlan::note_trimmed(const Look& look) {
  trimmed_at_ = look.now;
  kept_bytes_ = look.resident_bytes - std::min(look.resident_bytes, look.used_bytes);
}

TrimPlan::Look TrimPlan::look() {
  Look out{std::chrono::steady_clock::now(), {}, 0, 0};
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  out.cpu_time = std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  std::uint64_t all_pages = 0, resident_pages = 0;
  std::ifstream("/proc/self/statm") >> all_pages >> resident_pages;
  out.resident_bytes = resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto info = ::mallinfo2();
  out.used_bytes = info.uordblks + info.hblkhd;
  return out;
}

MemoryTrim::MemoryTrim(std::string component, MemoryTrimOptions options)
    : component_(std::move(component)), options_(options) {
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "memory");
    loop();
  });
}

MemoryTrim::~MemoryTrim() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void MemoryTrim::loop() {
  TrimPlan plan(options_.least_distance);
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, options_.interval, [&] { return is_stopping_; })) {
    lock.unlock();
    const auto look = TrimPlan::look();
    if (plan.is_due(look)) {
      ::malloc_trim(0);
      const auto after = TrimPlan::look();
      plan.note_trimmed(after);
      log::debug(component_, "gave back memory: {} MiB resident, {} MiB before", after.resident_bytes >> 20,
                 look.resident_bytes >> 20);
    }
    lock.lock();
  }
}

}  // namespace rusternetes
