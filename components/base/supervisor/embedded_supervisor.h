#pragma once
// The bytes of the `supervisor` program, which the launcher writes out beside a cluster; they live as long as
// the process.

#include <cstddef>
#include <span>

namespace rusternetes {
std::span<const std::byte> supervisor_binary();
}
