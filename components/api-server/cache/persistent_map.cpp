#include "api-server/cache/persistent_map.h"

#include <algorithm>
#include <atomic>

namespace rusternetes::api_server {

constexpr std::size_t node_capacity = 32;

// A leaf has entries, an inner node children; never both.
struct Node {
  mutable std::atomic<std::uint32_t> references{0};
  std::size_t count = 0;  // entries below
  std::vector<EntryPtr> entries;
  std::vector<boost::intrusive_ptr<const Node>> children;

  bool is_leaf() const { return children.empty(); }
  std::size_t width() const { return is_leaf() ? entries.size() : children.size(); }
  std::string_view first_key() const { return is_leaf() ? std::string_view(entries[0]->key) : children[0]->first_key(); }
};

void intrusive_ptr_add_ref(const Node* node) { node->references.fetch_add(1, std::memory_order_relaxed); }
void intrusive_ptr_release(const Node* node) {
  if (node->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete node;
}

namespace {

using NodePtr = boost::intrusive_ptr<const Node>;

std::size_t entry_place(const Node& leaf, std::string_view key) {
  return static_cast<std::size_t>(
      std::lower_bound(leaf.entries.begin(), leaf.entries.end(), key,
                       [](const EntryPtr& e, std::string_view k) { return std::string_view(e->key) < k; }) -
      leaf.entries.begin());
}

// The child that holds the key, or would.
std::size_t child_place(const Node& inner, std::string_view key) {
  const auto it = std::upper_bound(inner.children.begin() + 1, inner.children.end(), key,
                                   [](std::string_view k, const NodePtr& n) { return k < n->first_key(); });
  return static_cast<std::size_t>(it - inner.children.begin()) - 1;
}

NodePtr make_leaf(std::vector<EntryPtr> entries) {
  auto* node = new Node;
  node->count = entries.size();
  node->entries = std::move(entries);
  return node;
}

NodePtr make_inner(std::vector<NodePtr> children) {
  auto* node = new Node;
  for (const auto& child : children) node->count += child->count;
  node->children = std::move(children);
  return node;
}

template <class T>
std::pair<std::vector<T>, std::vector<T>> split(std::vector<T>& all, bool at_end) {
  const auto middle = static_cast<std::ptrdiff_t>(at_end ? all.size() - 1 : all.size() / 2);
  return {std::vector<T>(all.begin(), all.begin() + middle), std::vector<T>(all.begin() + middle, all.end())};
}

// One node, or two when it was full.
std::pair<NodePtr, NodePtr> put_into(const Node& node, const EntryPtr& entry) {
  if (node.is_leaf()) {
    std::vector<EntryPtr> entries;
    entries.reserve(node.entries.size() + 1);
    const std::size_t at = entry_place(node, entry->key);
    entries.assign(node.entries.begin(), node.entries.end());
    if (at < entries.size() && entries[at]->key == entry->key) {
      entries[at] = entry;
      return {make_leaf(std::move(entries)), nullptr};
    }
    const bool at_end = at == entries.size();
    entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(at), entry);
    if (entries.size() <= node_capacity) return {make_leaf(std::move(entries)), nullptr};
    auto [left, right] = split(entries, at_end);
    return {make_leaf(std::move(left)), make_leaf(std::move(right))};
  }
  const std::size_t at = child_place(node, entry->key);
  auto [left, right] = put_into(*node.children[at], entry);
  std::vector<NodePtr> children;
  children.reserve(node.children.size() + 1);
  children = node.children;
  children[at] = std::move(left);
  if (!right) return {make_inner(std::move(children)), nullptr};
  const bool at_end = at + 1 == children.size();
  children.insert(children.begin() + static_cast<std::ptrdiff_t>(at) + 1, std::move(right));
  if (children.size() <= node_capacity) return {make_inner(std::move(children)), nullptr};
  auto [first, second] = split(children, at_end);
  return {make_inner(std::move(first)), make_inner(std::move(second))};
}

// Null when nothing is left. The key is known to be there.
NodePtr erase_from(const Node& node, std::string_view key) {
  if (node.is_leaf()) {
    if (node.entries.size() == 1) return nullptr;
    auto entries = node.entries;
    entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(entry_place(node, key)));
    return make_leaf(std::move(entries));
  }
  const std::size_t at = child_place(node, key);
  NodePtr changed = erase_from(*node.children[at], key);
  auto children = node.children;
  if (!changed) {
    children.erase(children.begin() + static_cast<std::ptrdiff_t>(at));
    if (children.empty()) return nullptr;
  } else {
    // Neighbours that fit into one node are joined, so that deletions do not leave a thin tree.
    children[at] = changed;
    const std::size_t other = at + 1 < children.size() ? at + 1 : at > 0 ? at - 1 : at;
    if (other != at && changed->is_leaf() == children[other]->is_leaf() &&
        changed->width() + children[other]->width() <= node_capacity / 2) {
      const std::size_t left = std::min(at, other);
      const Node &a = *children[left], &b = *children[left + 1];
      if (a.is_leaf()) {
        auto entries = a.entries;
        entries.insert(entries.end(), b.entries.begin(), b.entries.end());
        children[left] = make_leaf(std::move(entries));
      } else {
        auto joined = a.children;
        joined.insert(joined.end(), b.children.begin(), b.children.end());
        children[left] = make_inner(std::move(joined));
      }
      children.erase(children.begin() + static_cast<std::ptrdiff_t>(left) + 1);
    }
  }
  if (children.size() == 1) return children[0];
  return make_inner(std::move(children));
}

std::size_t rank(const Node* node, std::string_view key) {
  std::size_t before = 0;
  while (node && !node->is_leaf()) {
    const std::size_t at = child_place(*node, key);
    for (std::size_t i = 0; i < at; ++i) before += node->children[i]->count;
    node = node->children[at].get();
  }
  return node ? before + entry_place(*node, key) : 0;
}

}  // namespace

PersistentMap::PersistentMap() = default;
PersistentMap::PersistentMap(const PersistentMap&) = default;
PersistentMap& PersistentMap::operator=(const PersistentMap&) = default;
PersistentMap::~PersistentMap() = default;
PersistentMap::PersistentMap(NodePtr root) : root_(std::move(root)) {}
PersistentMap::Cursor::Cursor() = default;
PersistentMap::Cursor::Cursor(Cursor&&) = default;
PersistentMap::Cursor& PersistentMap::Cursor::operator=(Cursor&&) = default;
PersistentMap::Cursor::~Cursor() = default;

std::size_t PersistentMap::size() const { return root_ ? root_->count : 0; }

EntryPtr PersistentMap::find(std::string_view key) const {
  const Node* node = root_.get();
  while (node && !node->is_leaf()) node = node->children[child_place(*node, key)].get();
  if (!node) return nullptr;
  const std::size_t at = entry_place(*node, key);
  return at < node->entries.size() && node->entries[at]->key == key ? node->entries[at] : nullptr;
}

PersistentMap PersistentMap::put(EntryPtr entry) const {
  if (!root_) return PersistentMap(make_leaf({std::move(entry)}));
  auto [left, right] = put_into(*root_, entry);
  if (!right) return PersistentMap(std::move(left));
  std::vector<NodePtr> both;
  both.push_back(std::move(left));
  both.push_back(std::move(right));
  return PersistentMap(make_inner(std::move(both)));
}

PersistentMap PersistentMap::erase(std::string_view key) const {
  if (!find(key)) return *this;
  return PersistentMap(erase_from(*root_, key));
}

PersistentMap::Cursor PersistentMap::from(std::string_view key) const {
  Cursor cursor;
  cursor.root_ = root_;
  const Node* node = root_.get();
  while (node) {
    const std::size_t at = node->is_leaf() ? entry_place(*node, key) : child_place(*node, key);
    cursor.path_.push_back({node, at});
    node = node->is_leaf() ? nullptr : node->children[at].get();
  }
  return cursor;
}

const EntryPtr* PersistentMap::Cursor::next() {
  while (!path_.empty()) {
    Step& step = path_.back();
    if (step.node->is_leaf()) {
      if (step.at < step.node->entries.size()) return &step.node->entries[step.at++];
      path_.pop_back();
      if (!path_.empty()) ++path_.back().at;
      continue;
    }
    if (step.at >= step.node->children.size()) {
      path_.pop_back();
      if (!path_.empty()) ++path_.back().at;
      continue;
    }
    const Node* child = step.node->children[step.at].get();
    path_.push_back({child, 0});
  }
  return nullptr;
}

std::size_t PersistentMap::count(std::string_view from, std::string_view to) const {
  const std::size_t low = rank(root_.get(), from), high = to.empty() ? size() : rank(root_.get(), to);
  return high > low ? high - low : 0;
}

}  // namespace rusternetes::api_server
