#pragma once
// Durations, counted in CoreDNS's buckets: each twice as wide as the one before.

#include <array>
#include <chrono>
#include <cstdint>

namespace rusternetes::dns {

template <std::size_t buckets, std::int64_t first_us>
struct BasicHistogram {
  static constexpr std::size_t size = buckets;
  static constexpr std::chrono::microseconds first{first_us};
  std::array<std::uint64_t, size + 1> counts{};  // the last: above all buckets
  double sum_s = 0;
  std::uint64_t total = 0;

  void add(std::chrono::nanoseconds duration) {
    std::size_t i = 0;
    for (std::chrono::nanoseconds bound = first; i < size && duration > bound; bound *= 2) ++i;
    ++counts[i];
    ++total;
    sum_s += std::chrono::duration<double>(duration).count();
  }
};

using Histogram = BasicHistogram<16, 250>;              // of questions: to 8.2 s
using ProgrammingHistogram = BasicHistogram<20, 1000>;  // from a change of endpoints to its records: to 524 s

}  // namespace rusternetes::dns
