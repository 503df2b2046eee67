#pragma once
// Questions about names that are not the cluster's: to the servers of a stub domain, or else to the host's.
// Answers are cached; a question that is under way is asked once, however many wait for it.

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "dns/cache.h"
#include "dns/histogram.h"
#include "dns/upstream.h"

namespace rusternetes::dns {

struct StubDomain {
  std::string domain;  // "corp.example"
  std::vector<ServerAddress> servers;
};

struct UpstreamOptions {
  std::string resolv_conf;             // read anew when it has changed; empty: none
  std::vector<ServerAddress> servers;  // instead of resolv.conf's
  std::vector<StubDomain> stub_domains;
  std::chrono::milliseconds try_timeout{2000};
  std::chrono::milliseconds whole_timeout{4500};  // resolvers give up after 5 seconds
  // A server that did not answer is asked after all others, and looked at this often until it answers.
  std::chrono::milliseconds down_recheck{1000};
  std::chrono::seconds loop_recheck{30};
  std::size_t most_concurrent = 1000;  // as kubeadm sets CoreDNS
  std::size_t most_waiting = 10'000;
  // Where the sockets to other servers are made; none: where the thread is.
  std::optional<network::NetworkNamespace> name_space;
};

class Forwarder {
 public:
  // `done` runs on the executor, once, unless the forwarder is stopped before.
  using Done = std::function<void(std::shared_ptr<const ForeignAnswer>)>;

  // BadRequest: a stub domain is no name.
  static Result<std::unique_ptr<Forwarder>> make(asio::any_io_executor executor, const Clock& clock,
                                                 UpstreamOptions options, CacheOptions cache);
  void start();  // looks at the servers: whether they lead back here, and whether those are back that failed
  Task<> stop();

  // Whether there is anybody to ask about the name (wire form, lower case).
  bool has_servers(std::string_view name);
  // The domain of the stub that the name falls to; empty: none.
  std::string_view stub_of(std::string_view name) const;
  // From the cache, or nothing.
  std::shared_ptr<const ForeignAnswer> cached(const Query& query) {
    return cache_.find(Cache::key_of(query));
  }
  // After cached() gave nothing. May call `done` before it returns.
  void resolve(const Query& query, Done done);

  // Whether the query is one of our own, sent to a server to see if it comes back: that server is then not
  // asked any more.
  bool takes_probe(const Query& query);

  const Cache& cache() const { return cache_; }
  struct Counters {
    std::uint64_t rejected = 0;                                          // too many under way
    std::map<std::pair<std::string, std::string>, Histogram> exchanges;  // by server and code
    std::map<std::string, std::uint64_t> failures;                       // by server
  };
  const Counters& counters() const { return counters_; }

 private:
  struct Server {
    ServerAddress address;
    bool is_down = false, loops = false;
    std::chrono::steady_clock::time_point look_at{};  // when to probe it next; at once in the beginning
  };
  struct Group {
    std::string domain;  // wire form; empty: everything
    std::vector<Server> servers;
  };
  struct Flight {
    std::vector<Done> waiting;
  };

  Forwarder(asio::any_io_executor executor, const Clock& clock, UpstreamOptions options, CacheOptions cache);
  void reload_if_changed();
  std::shared_ptr<Group> group_of(std::string_view name);
  std::vector<std::size_t> order_of(const Group& group) const;
  Task<> fly(std::string key, std::shared_ptr<Group> group, Question question);
  Task<std::shared_ptr<const ForeignAnswer>> ask(std::shared_ptr<Group> group, Question question);
  Task<std::shared_ptr<const ForeignAnswer>> ask_one(std::shared_ptr<Group> group, std::size_t index,
                                                     Question question,
                                                     std::chrono::steady_clock::time_point deadline);
  Task<> watch_servers();
  Task<> probe(std::shared_ptr<Group> group, std::size_t index);

  const Clock& clock_;
  UpstreamOptions options_;
  Cache cache_;
  TaskGroup tasks_;
  std::vector<std::shared_ptr<Group>> stubs_;  // the longest domain first
  std::shared_ptr<Group> rest_;
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights_;
  std::size_t waiting_ = 0;
  struct Probe {
    std::shared_ptr<Group> group;
    std::size_t index = 0;
    bool has_come_back = false;
  };
  std::map<std::string, Probe> probes_;      // by the name asked for
  AsyncEvent look_again_;                    // a server's look_at has come nearer
  std::array<std::int64_t, 7> file_read_{};  // what tells one state of resolv.conf from another
  std::chrono::steady_clock::time_point looked_at_{};
  Counters counters_;
};

}  // namespace rusternetes::dns
