#include "rhino/raft/cluster.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>

#include "certs/file.h"
#include "etcd/member.pb.h"
#include "rhino/raft/wal.h"
#include "rhino/snapshot_json.h"
#include "rhino/snapshot_rows.h"

namespace rusternetes::rhino::raft {
namespace {

// The first eight bytes of the SHA-1, as etcd makes its ids.
std::uint64_t short_hash(const std::string& bytes) {
  unsigned char sum[EVP_MAX_MD_SIZE];
  ::EVP_Digest(bytes.data(), bytes.size(), sum, nullptr, ::EVP_sha1(), nullptr);
  std::uint64_t id = 0;
  for (int i = 0; i < 8; ++i) id = id << 8 | sum[i];
  return id;
}

std::string folder_json(const std::string& path, const std::string& children) {
  return fmt::format(R"({{"Path":{},"CreatedIndex":0,"ModifiedIndex":0,"ExpireTime":"0001-01-01T00:00:00Z",)"
                     R"("Value":"","Children":{{{}}}}})",
                     json_string(path), children);
}

std::string leaf_json(const std::string& path, std::size_t index, const std::string& value) {
  return fmt::format(R"({{"Path":{},"CreatedIndex":{},"ModifiedIndex":{},)"
                     R"("ExpireTime":"0001-01-01T00:00:00Z","Value":{},"Children":null}})",
                     json_string(path), index, index, json_string(value));
}

// etcd's store of version 2, in which the members stand; the last that still reads them from it is 3.4.
std::string v2_store_json(const Cluster& cluster) {
  std::string members;
  for (std::size_t i = 0; i < cluster.members.size(); ++i) {
    const auto& member = cluster.members[i];
    const std::string name = fmt::format("{:x}", member.id), path = "/0/members/" + name;
    const std::string urls = fmt::format(R"({{"peerURLs":{}}})", json_strings(member.peer_urls));
    const std::string leaf = leaf_json(path + "/raftAttributes", i + 1, urls);
    members += fmt::format("{}\"{}\":{}", members.empty() ? "" : ",", name,
                           folder_json(path, "\"raftAttributes\":" + leaf));
  }
  const std::string own = folder_json("/0", "\"members\":" + folder_json("/0/members", members));
  return fmt::format(R"({{"Root":{},"CurrentIndex":{},"CurrentVersion":2}})",
                     folder_json("/", fmt::format(R"("0":{},"1":{})", own, folder_json("/1", ""))),
                     cluster.members.size());
}

memberpb::ConfState conf_state(const Cluster& cluster) {
  memberpb::ConfState state;
  for (const auto id : cluster.ids()) state.add_voters(id);
  state.set_auto_leave(false);
  return state;
}

memberpb::WalSnapshot wal_snapshot(std::uint64_t index, std::uint64_t term) {
  memberpb::WalSnapshot snapshot;
  snapshot.set_index(index);
  snapshot.set_term(term);
  return snapshot;
}

std::string addition_of(const ClusterMember& member) {
  memberpb::ConfChange change;
  change.set_id(0);
  change.set_type(0);
  change.set_node_id(member.id);
  change.set_context(member_json(member));
  return change.SerializeAsString();
}

WalWriter make_wal(const Cluster& cluster, const ClusterMember& self) {
  WalWriter wal;
  memberpb::Metadata metadata;
  metadata.set_node_id(self.id);
  metadata.set_cluster_id(cluster.id);
  wal.append(RecordType::metadata, metadata.SerializeAsString());
  wal.append(RecordType::snapshot, wal_snapshot(0, 0).SerializeAsString());
  for (std::size_t i = 0; i < cluster.members.size(); ++i) {
    memberpb::Entry entry;
    entry.set_type(1);
    entry.set_term(first_term);
    entry.set_index(i + 1);
    entry.set_data(addition_of(cluster.members[i]));
    wal.append(RecordType::entry, entry.SerializeAsString());
  }
  memberpb::HardState state;
  state.set_term(first_term);
  state.set_vote(cluster.members.front().id);
  state.set_commit(first_index(cluster));
  wal.append(RecordType::state, state.SerializeAsString());
  auto snapshot = wal_snapshot(first_index(cluster), first_term);
  *snapshot.mutable_conf_state() = conf_state(cluster);
  wal.append(RecordType::snapshot, snapshot.SerializeAsString());
  return wal;
}

std::string snap_file(const Cluster& cluster) {
  memberpb::Snapshot snapshot;
  snapshot.set_data(v2_store_json(cluster));
  auto& metadata = *snapshot.mutable_metadata();
  *metadata.mutable_conf_state() = conf_state(cluster);
  metadata.set_index(first_index(cluster));
  metadata.set_term(first_term);
  memberpb::SnapFile file;
  file.set_data(snapshot.SerializeAsString());
  file.set_crc(crc32c(0, file.data()));
  return file.SerializeAsString();
}

}  // namespace

Cluster Cluster::make(const std::map<std::string, std::vector<std::string>>& peers,
                      const std::string& token) {
  Cluster cluster;
  for (const auto& [name, urls] : peers) {
    ClusterMember member{0, name, urls};
    std::sort(member.peer_urls.begin(), member.peer_urls.end());
    std::string seed;
    for (const auto& url : member.peer_urls) seed += url;
    member.id = short_hash(seed + token);
    cluster.members.push_back(std::move(member));
  }
  std::sort(cluster.members.begin(), cluster.members.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  std::string seed;
  for (const auto id : cluster.ids()) seed += big_endian(id);
  cluster.id = short_hash(seed);
  return cluster;
}

const ClusterMember* Cluster::find(const std::string& name) const {
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const ClusterMember& member) { return member.name == name; });
  return found == members.end() ? nullptr : &*found;
}

std::vector<std::uint64_t> Cluster::ids() const {
  std::vector<std::uint64_t> ids;
  for (const auto& member : members) ids.push_back(member.id);
  return ids;
}

std::string member_json(const ClusterMember& member, const std::vector<std::string>& client_urls) {
  std::string out = fmt::format("{{\"id\":{},\"peerURLs\":{}", member.id, json_strings(member.peer_urls));
  if (!member.name.empty()) out += ",\"name\":" + json_string(member.name);
  if (!client_urls.empty()) out += ",\"clientURLs\":" + json_strings(client_urls);
  return out + "}";
}

Result<void> write_raft_files(const Cluster& cluster, const ClusterMember& self,
                              const std::string& member_folder) {
  RN_CHECK(make_wal(cluster, self).save(member_folder + "/wal"));
  const auto name = fmt::format("{:016x}-{:016x}.snap", first_term, first_index(cluster));
  return certs::write_atomically(member_folder + "/snap/" + name, snap_file(cluster), 0600);
}

Result<std::size_t> voters_of(const std::string& snap_folder) {
  std::error_code error;
  std::set<std::string, std::greater<>> names;  // TERM-INDEX.snap: the newest first
  for (const auto& entry : std::filesystem::directory_iterator(snap_folder, error))
    if (entry.path().extension() == ".snap") names.insert(entry.path().filename());
  if (error)
    return Status{500, "InternalError", fmt::format("cannot read {}: {}", snap_folder, error.message())};
  for (const auto& name : names) {
    RN_TRY(const auto bytes, certs::read_text(snap_folder + "/" + name, 1 << 30));
    memberpb::SnapFile file;
    memberpb::Snapshot snapshot;
    if (file.ParseFromString(bytes) && file.crc() == crc32c(0, file.data()) &&
        snapshot.ParseFromString(file.data()))
      return static_cast<std::size_t>(snapshot.metadata().conf_state().voters_size());
  }
  return std::size_t{0};
}

}  // namespace rusternetes::rhino::raft
