#pragma once
// The members of a new cluster, with the ids that etcd itself would give them, and what the first snapshot
// and the log of one of them say about it.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace rusternetes::rhino::raft {

struct ClusterMember {
  std::uint64_t id = 0;
  std::string name;
  std::vector<std::string> peer_urls;  // sorted
};

struct Cluster {
  std::uint64_t id = 0;
  std::vector<ClusterMember> members;  // by id

  // Peer URLs by name, as etcd writes them. The same names, URLs and token always give the same ids.
  static Cluster make(const std::map<std::string, std::vector<std::string>>& peers, const std::string& token);
  const ClusterMember* find(const std::string& name) const;
  std::vector<std::uint64_t> ids() const;
};

// encoding/json of etcd's membership.Member.
std::string member_json(const ClusterMember& member, const std::vector<std::string>& client_urls = {});

// The term and index at which the cluster begins: every member has been added.
inline constexpr std::uint64_t first_term = 1;
inline std::uint64_t first_index(const Cluster& cluster) { return cluster.members.size(); }

// `member_folder`/wal and `member_folder`/snap, which exist, get their log and their snapshot, on disk.
Result<void> write_raft_files(const Cluster& cluster, const ClusterMember& self,
                              const std::string& member_folder);

// How many members have a vote, as the newest sound snapshot in `snap_folder` says; 0 without one.
Result<std::size_t> voters_of(const std::string& snap_folder);

}  // namespace rusternetes::rhino::raft
