#pragma once
// Lets REQUIRE(result) print a failed Result's message. Part of every test's precompiled header.
#include <catch2/catch.hpp>

#include "base/status.h"

namespace Catch {
template <class T>
struct StringMaker<boost::system::result<T, rusternetes::Status>> {
  static std::string convert(const boost::system::result<T, rusternetes::Status>& result) {
    return result ? "a value" : result.error().reason + ": " + result.error().message;
  }
};
}  // namespace Catch
