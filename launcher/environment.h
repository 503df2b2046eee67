#pragma once
// Everything a command touches outside of itself. main() fills it with the real things, tests with their own.

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/release.h"
#include "launcher/hooks.h"

namespace rusternetes::launcher {

class EnginePort;
class NetworkPort;
class ProcessPort;
class HttpPort;
class HostPort;
class FactsPort;
class ImagePort;
class StorePort;

struct Environment {
  std::istream& in;
  std::ostream& out;  // results
  std::ostream& err;  // progress and errors
  bool is_input_terminal = false;
  bool is_progress_terminal = false;
  std::function<std::optional<std::string>(const char* name)> variable;
  std::filesystem::path binary_dir;  // where supervisor and rusternetes are
  const Clock& clock;
  EnginePort& engine;
  NetworkPort& network;
  ProcessPort& process;
  HttpPort& http;
  HostPort& host;
  Hooks& hooks;
  // True after the user asked to stop (SIGINT): a plan ends between two steps and undoes what it can.
  std::function<bool()> is_interrupted = [] { return false; };
  // Shared with checks that take too long, which outlive the command.
  std::shared_ptr<FactsPort> facts = nullptr;
  ImagePort* images = nullptr;  // null only in tests of modes without containers
  std::shared_ptr<StorePort> store = nullptr;
  std::string release{release_version()};  // of the programs in binary_dir
};

}  // namespace rusternetes::launcher
