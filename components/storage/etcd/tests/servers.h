#pragma once
// Servers of etcd's v3 API that the tests start themselves, on loopback, each over a folder of its own.

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "storage/etcd/endpoints.h"

namespace rusternetes::storage::etcd::testing {

struct ServerKind {
  std::string name;     // "rhino", "etcd 3.6"
  std::string program;  // its path
  bool is_rhino = false;
  bool has_tls = false;  // then clients need a certificate too
};

// What this host has of rhino of this build, etcd of $PEERS (default build/peers) and /usr/bin/etcd, and what
// not.
struct Found {
  struct Missing {
    std::string name, why;
  };
  std::vector<ServerKind> kinds;
  std::vector<Missing> missing;
};
Found find_servers();

// Text of `openssl`'s form, made once a process: an authority, a server's pair for 127.0.0.1, a client's.
struct Certificates {
  std::string ca_pem, server_pem, server_key_pem, client_pem, client_key_pem;
  static const Certificates& get();
};

// One process. Ended, without warning, when destroyed, and its folder removed.
class Server {
 public:
  explicit Server(ServerKind kind);
  ~Server();
  Server(const Server&) = delete;

  // Blocking, until it answers on its port. Fails with what it said last.
  Result<void> start();
  void kill();
  // For an EtcdStore.
  EtcdOptions options() const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  Result<void> try_start();
  std::vector<std::string> arguments() const;
  std::string last_words() const;

  ServerKind kind_;
  std::filesystem::path folder_;
  pid_t pid_ = -1;
  int client_port_ = 0, peer_port_ = 0;  // kept over restarts
};

}  // namespace rusternetes::storage::etcd::testing
