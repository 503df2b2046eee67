#pragma once
// An HTTP/1.1 server on a unix socket with canned answers, for what a real engine does not do on demand:
// breaking off, hanging, other versions.

#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace rusternetes::engine::testing {

class FakeEngine {
 public:
  FakeEngine();
  ~FakeEngine();

  const std::string& path() const { return path_; }
  // The answer to "METHOD target" (or the longest prefix of it that is known), status line and all, sent as
  // it is. An empty one: none, the connection stays open. Ending in "\x04": the connection is closed after
  // the rest.
  void answer(std::string request, std::string response);
  void answer_json(std::string request, std::string body, int status = 200);
  // What came in so far, as "METHOD target\nbody".
  std::vector<std::string> requests() const;

 private:
  void serve(int fd);
  std::string find(const std::string& request) const;

  std::string directory_, path_;
  int listener_ = -1;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> answers_;
  std::vector<std::string> requests_;
  std::vector<int> connections_;
  std::list<std::thread> threads_;
  bool is_stopping_ = false;
};

// /_ping, /version and /info as Podman 4.3.1 and Docker 20.10.24 give them, in the fields that are read.
void be_podman(FakeEngine& fake);
void be_docker(FakeEngine& fake, std::string api = "1.41", std::string oldest_api = "1.12");

}  // namespace rusternetes::engine::testing
