#include "fake_engine.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace rusternetes::engine::testing {
namespace {

std::size_t content_length(std::string head) {
  std::transform(head.begin(), head.end(), head.begin(), [](unsigned char c) { return std::tolower(c); });
  auto at = head.find("content-length:");
  return at == std::string::npos ? 0 : std::stoul(head.substr(at + 15));
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

FakeEngine::FakeEngine() {
  char folder[] = "/tmp/fake-engine-XXXXXX";
  directory_ = ::mkdtemp(folder);
  path_ = directory_ + "/engine.sock";
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
  ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  ::listen(listener_, 16);
  threads_.emplace_back([this] {
    for (;;) {
      int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      std::lock_guard lock(mutex_);
      if (fd < 0 || is_stopping_) {
        if (fd >= 0) ::close(fd);
        return;
      }
      connections_.push_back(fd);
      threads_.emplace_back([this, fd] { serve(fd); });
    }
  });
}

FakeEngine::~FakeEngine() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    for (int fd : connections_) ::shutdown(fd, SHUT_RDWR);
  }
  ::shutdown(listener_, SHUT_RDWR);
  for (auto& thread : threads_) thread.join();
  for (int fd : connections_) ::close(fd);
  ::close(listener_);
  ::unlink(path_.c_str());
  ::rmdir(directory_.c_str());
}

void FakeEngine::answer(std::string request, std::string response) {
  std::lock_guard lock(mutex_);
  answers_[std::move(request)] = std::move(response);
}

void FakeEngine::answer_json(std::string request, std::string body, int status) {
  answer(std::move(request), "HTTP/1.1 " + std::to_string(status) +
                                 " X\r\ncontent-type: application/json\r\ncontent-length: " +
                                 std::to_string(body.size()) + "\r\n\r\n" + body);
}

std::vector<std::string> FakeEngine::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

std::string FakeEngine::find(const std::string& request) const {
  std::string best,
      response = "HTTP/1.1 404 X\r\ncontent-length: 29\r\n\r\n{\"message\":\"not in the fake\"}";
  for (const auto& [prefix, text] : answers_)
    if (request.starts_with(prefix) && prefix.size() >= best.size()) {
      best = prefix;
      response = text;
    }
  return response;
}

void FakeEngine::serve(int fd) {
  std::string in;
  char buffer[65536];
  for (;;) {
    auto end = in.find("\r\n\r\n");
    if (end != std::string::npos && in.size() >= end + 4 + content_length(in.substr(0, end))) {
      auto head = in.substr(0, end);
      auto length = content_length(head);
      auto request = head.substr(0, head.find(" HTTP/"));
      std::string response;
      {
        std::lock_guard lock(mutex_);
        requests_.push_back(request + "\n" + in.substr(end + 4, length));
        response = find(request);
      }
      in.erase(0, end + 4 + length);
      bool closes = response.ends_with('\x04');
      if (closes) response.pop_back();
      if (!send_all(fd, response)) return;
      if (closes) {
        ::shutdown(fd, SHUT_RDWR);
        return;
      }
      continue;
    }
    auto count = ::recv(fd, buffer, sizeof(buffer), 0);
    if (count <= 0) return;
    in.append(buffer, static_cast<std::size_t>(count));
  }
}

void be_podman(FakeEngine& fake) {
  fake.answer("GET /_ping",
              "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nLibpod-Api-Version: 4.3.1\r\nContent-Length: 2\r\n\r\nOK");
  fake.answer_json("GET /v1.41/info",
                   R"({"Name":"vm","CgroupDriver":"cgroupfs","CgroupVersion":"1","DefaultRuntime":"runc",
    "Runtimes":{"crun":{},"runc":{}},"Rootless":false,"SecurityOptions":["name=seccomp,profile=default"],"NCPU":2})");
}

void be_docker(FakeEngine& fake, std::string api, std::string oldest_api) {
  fake.answer("GET /_ping", "HTTP/1.1 200 OK\r\nApi-Version: " + api + "\r\nContent-Length: 2\r\n\r\nOK");
  fake.answer_json(
      "GET /version",
      R"({"Components":[{"Name":"Engine","Version":"20.10.24"}],"Version":"20.10.24","ApiVersion":")" + api +
          R"(","MinAPIVersion":")" + oldest_api + "\"}");
  fake.answer_json("GET /v",
                   R"({"Name":"vm","CgroupDriver":"systemd","CgroupVersion":"2","DefaultRuntime":"runc",
    "Runtimes":{"runc":{}},"SecurityOptions":["name=apparmor","name=seccomp,profile=default"],"NCPU":2})");
}

}  // namespace rusternetes::engine::testing
