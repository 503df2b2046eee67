#pragma once
// What made-up hosts are made of: a folder, in which each thing of the host is a file, and calls that are to fail.

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "certs/file.h"
#include "support/folder.h"

namespace rusternetes::launcher::testing {

namespace fs = std::filesystem;

// In memory where there is such a folder: these tests sync thousands of small files, and cut off no power.
inline fs::path folder_of_memory() {
  const fs::path shared = "/dev/shm";
  return ::access(shared.c_str(), W_OK) == 0 ? shared : fs::temp_directory_path();
}
struct TemporaryFolder : rusternetes::testing::Folder {
  TemporaryFolder() : Folder("launcher", folder_of_memory()) {}
};

// Things of the host by kind and name: "link", "drop-host", "container", ...
class Things {
 public:
  explicit Things(fs::path root) : root_(std::move(root)) { fs::create_directories(root_); }
  bool has(const std::string& kind, const std::string& name) const {
    return fs::exists(root_ / (kind + "@" + name));
  }
  void add(const std::string& kind, const std::string& name, const std::string& text = "") {
    std::ofstream(root_ / (kind + "@" + name)) << text;
  }
  void remove(const std::string& kind, const std::string& name) { fs::remove(root_ / (kind + "@" + name)); }
  std::string text(const std::string& kind, const std::string& name) const {
    return certs::read_text(root_ / (kind + "@" + name)).value();
  }
  std::set<std::string> all() const {
    std::set<std::string> out;
    for (const auto& entry : fs::directory_iterator(root_)) out.insert(entry.path().filename());
    return out;
  }
  std::set<std::string> names(const std::string& kind) const {
    std::set<std::string> out;
    for (const std::string& one : all())
      if (one.starts_with(kind + "@")) out.insert(one.substr(kind.size() + 1));
    return out;
  }

 private:
  fs::path root_;
};

// The n-th call of a port from here on fails.
struct Faults {
  std::map<std::string, std::string> by_call;  // "link" -> message
  std::map<std::string, std::string> once;     // only the next call
  Result<> check(const std::string& call) {
    if (const auto next = once.find(call); next != once.end()) {
      const std::string message = next->second;
      once.erase(next);
      return internal_error(message);
    }
    const auto found = by_call.find(call);
    return found == by_call.end() ? Result<>() : Result<>(internal_error(found->second));
  }
};

}  // namespace rusternetes::launcher::testing
