#pragma once
// The program of this build, as a child.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "server_harness.h"

namespace rusternetes::rhino::testing {

class Program {
 public:
  Program(const std::filesystem::path& folder, std::vector<std::string> arguments,
          const std::vector<std::string>& environment = {})
      : log_(folder / "log") {
    static int count = 0;
    log_ += std::to_string(++count);
    arguments.insert(arguments.begin(), RUSTERNETES_BINARY_DIR "/rhino");
    std::vector<char*> argv, envp;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    for (const auto& entry : environment) envp.push_back(const_cast<char*>(entry.c_str()));
    envp.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 1, log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
    REQUIRE(::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data()) == 0);
    ::posix_spawn_file_actions_destroy(&actions);
  }
  Program(const Program&) = delete;
  ~Program() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::string log() const {
    std::ifstream in(log_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  // The ports it listens on, from its line in the log, in the order of the URLs.
  std::vector<std::uint16_t> wait_ready() {
    std::string text;
    REQUIRE(eventually([&] {
      text = log();
      return text.find("] ready: ") != std::string::npos && text.ends_with("\n");
    }));
    std::vector<std::uint16_t> ports;
    const auto line = text.substr(text.find("] ready: "));
    for (auto at = line.find("://"); at != std::string::npos; at = line.find("://", at + 1)) {
      const auto colon = line.find(':', at + 3);
      ports.push_back(static_cast<std::uint16_t>(std::stoi(line.substr(colon + 1))));
    }
    return ports;
  }
  void signal(int number) const { ::kill(pid_, number); }
  // -1: it did not end in time; 1000 and more: by a signal.
  int wait_end() {
    int status = 0;
    if (!eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; })) return -1;
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

 private:
  std::filesystem::path log_;
  pid_t pid_ = -1;
};

inline std::vector<std::string> flags(const Folder& folder, const std::string& urls = "http://127.0.0.1:0") {
  return {"--data-dir=" + (folder.path / "data").string(), "--listen-client-urls=" + urls,
          "--advertise-client-urls=http://127.0.0.1:1"};
}

}  // namespace rusternetes::rhino::testing
