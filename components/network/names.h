#pragma once
// Names of what a cluster leaves in a shared namespace. They are hashed to fit the kernel's 15 characters,
// carry the cluster so that two never touch (invariant 13), and can be recognised by their beginning.

#include <string>
#include <string_view>

namespace rusternetes::network {

enum class LinkPurpose : char { node = 'n', pod = 'p', bridge = 'b', other = 'o' };

// What every link of every cluster begins with.
inline constexpr std::string_view link_prefix = "rn";

// Six characters of [a-z2-7] that stand for a cluster.
std::string cluster_hash(std::string_view cluster);
// "rn" + cluster_hash: what every link of the cluster begins with.
std::string interface_prefix(std::string_view cluster);
// A pattern of nftables that matches the cluster's links: "rnabcdef*". `bridge`: its bridge, which is matched
// by its own name where an engine has named it; empty: it has none.
std::string cluster_links(std::string_view cluster, std::string_view bridge = {});
// 15 characters: interface_prefix, the purpose's letter, six characters that stand for `id`.
std::string interface_name(std::string_view cluster, LinkPurpose purpose, std::string_view id);
// The link's alias, in full words: shown by `ip link`, and what tells a hash collision from a link of ours.
std::string interface_alias(std::string_view cluster, LinkPurpose purpose, std::string_view id);
// "rusternetes-" + cluster_hash; `suffix` ("nat") is appended with a hyphen. Always of family inet.
std::string table_name(std::string_view cluster, std::string_view suffix = {});

}  // namespace rusternetes::network
