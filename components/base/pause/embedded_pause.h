#pragma once
// The bytes of the `pause` program, from which the pause image is built; they live as long as the process.

#include <cstddef>
#include <span>

namespace rusternetes {
std::span<const std::byte> pause_binary();
}
