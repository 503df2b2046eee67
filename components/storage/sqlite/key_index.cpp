#include "storage/sqlite/key_index.h"

#include <algorithm>

namespace rusternetes::storage::sqlite {

std::string KeyIndex::Leaf::key(std::size_t i) const {
  std::string out = prefix;
  out += suffix(i);
  return out;
}

int KeyIndex::Leaf::compare(std::size_t i, std::string_view key) const {
  const std::string_view head = key.substr(0, prefix.size());
  if (const int c = std::string_view(prefix).compare(head); c != 0) return c;
  return suffix(i).compare(key.substr(prefix.size()));
}

std::size_t KeyIndex::Leaf::lower_bound(std::string_view key) const {
  std::size_t low = 0, high = slots.size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (compare(middle, key) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// Copies slots [from, to) into a fresh leaf with the longest prefix that they share.
void KeyIndex::Leaf::rebuild(std::size_t from, std::size_t to, Leaf& into) const {
  Leaf made;
  if (from < to) {
    const std::string_view first = suffix(from), last = suffix(to - 1);
    std::size_t shared = 0;
    while (shared < first.size() && shared < last.size() && first[shared] == last[shared]) ++shared;
    made.prefix = prefix + std::string(first.substr(0, shared));
    std::size_t bytes = 0;
    for (std::size_t i = from; i < to; ++i) bytes += slots[i].length - shared;
    made.suffixes.reserve(bytes);
    made.slots.reserve(to - from);
    for (std::size_t i = from; i < to; ++i) {
      const std::string_view rest = suffix(i).substr(shared);
      made.slots.push_back({slots[i].entry, static_cast<std::uint32_t>(made.suffixes.size()),
                            static_cast<std::uint32_t>(rest.size())});
      made.suffixes += rest;
    }
  }
  into = std::move(made);
}

std::size_t KeyIndex::leaf_for(std::string_view key) const {
  const auto it = std::upper_bound(firsts_.begin(), firsts_.end(), key);
  return it == firsts_.begin() ? 0 : static_cast<std::size_t>(it - firsts_.begin()) - 1;
}

const IndexEntry* KeyIndex::find(std::string_view key) const {
  if (leaves_.empty()) return nullptr;
  const Leaf& leaf = *leaves_[leaf_for(key)];
  const std::size_t at = leaf.lower_bound(key);
  return at < leaf.slots.size() && leaf.compare(at, key) == 0 ? &leaf.slots[at].entry : nullptr;
}

void KeyIndex::put(std::string_view key, const IndexEntry& entry) {
  if (leaves_.empty()) {
    leaves_.push_back(std::make_unique<Leaf>());
    firsts_.emplace_back();
    recount();
  }
  const std::size_t leaf = leaf_for(key);
  const std::size_t at = leaves_[leaf]->lower_bound(key);
  if (at < leaves_[leaf]->slots.size() && leaves_[leaf]->compare(at, key) == 0) {
    leaves_[leaf]->slots[at].entry = entry;
    return;
  }
  insert(leaf, at, key, entry);
}

void KeyIndex::insert(std::size_t index, std::size_t at, std::string_view key, const IndexEntry& entry) {
  Leaf& leaf = *leaves_[index];
  if (leaf.slots.empty()) {
    leaf.prefix = key;
    leaf.suffixes.clear();
  } else if (!key.starts_with(leaf.prefix)) {  // the shared prefix gets shorter
    std::size_t shared = 0;
    while (shared < key.size() && shared < leaf.prefix.size() && key[shared] == leaf.prefix[shared]) ++shared;
    const std::string moved = leaf.prefix.substr(shared);
    std::string suffixes;
    for (auto& slot : leaf.slots) {
      const std::string rest = leaf.suffixes.substr(slot.offset, slot.length);
      slot.offset = static_cast<std::uint32_t>(suffixes.size());
      slot.length = static_cast<std::uint32_t>(moved.size() + rest.size());
      suffixes += moved;
      suffixes += rest;
    }
    leaf.suffixes = std::move(suffixes);
    leaf.prefix.resize(shared);
    leaf.dead = 0;
  }
  const std::string_view rest = key.substr(leaf.prefix.size());
  leaf.slots.insert(
      leaf.slots.begin() + static_cast<std::ptrdiff_t>(at),
      {entry, static_cast<std::uint32_t>(leaf.suffixes.size()), static_cast<std::uint32_t>(rest.size())});
  leaf.suffixes += rest;
  ++size_;
  add_count(index, 1);
  if (leaf.slots.size() <= leaf_capacity) return;
  // Ascending keys fill leaves to the brim, others split in the middle.
  const std::size_t split = at + 1 == leaf.slots.size() ? leaf.slots.size() - 1 : leaf.slots.size() / 2;
  auto right = std::make_unique<Leaf>();
  leaf.rebuild(split, leaf.slots.size(), *right);
  firsts_.insert(firsts_.begin() + static_cast<std::ptrdiff_t>(index) + 1, right->key(0));
  Leaf left;
  leaf.rebuild(0, split, left);
  leaf = std::move(left);
  const auto moved = static_cast<long>(right->slots.size());
  leaves_.insert(leaves_.begin() + static_cast<std::ptrdiff_t>(index) + 1, std::move(right));
  if (index + 2 < leaves_.size()) return recount();
  add_count(index, -moved);
  append_count(static_cast<std::size_t>(moved));
}

bool KeyIndex::erase(std::string_view key) {
  if (leaves_.empty()) return false;
  const std::size_t index = leaf_for(key);
  Leaf& leaf = *leaves_[index];
  const std::size_t at = leaf.lower_bound(key);
  if (at >= leaf.slots.size() || leaf.compare(at, key) != 0) return false;
  leaf.dead += leaf.slots[at].length;
  leaf.slots.erase(leaf.slots.begin() + static_cast<std::ptrdiff_t>(at));
  --size_;
  add_count(index, -1);
  if (leaf.slots.empty() && leaves_.size() > 1) {
    leaves_.erase(leaves_.begin() + static_cast<std::ptrdiff_t>(index));
    firsts_.erase(firsts_.begin() + static_cast<std::ptrdiff_t>(index));
    firsts_[0].clear();
    recount();
  } else if (leaf.dead > 1024 && leaf.dead * 2 > leaf.suffixes.size()) {
    Leaf tight;
    leaf.rebuild(0, leaf.slots.size(), tight);
    leaf = std::move(tight);
  }
  return true;
}

void KeyIndex::visit(std::string_view from, std::string_view to,
                     const std::function<bool(std::string_view, const IndexEntry&)>& visit) const {
  if (leaves_.empty()) return;
  std::size_t index = leaf_for(from);
  std::size_t at = leaves_[index]->lower_bound(from);
  std::string key;
  for (; index < leaves_.size(); ++index, at = 0) {
    const Leaf& leaf = *leaves_[index];
    for (; at < leaf.slots.size(); ++at) {
      key = leaf.prefix;
      key += leaf.suffix(at);
      if (!to.empty() && key >= to) return;
      if (!visit(key, leaf.slots[at].entry)) return;
    }
  }
}

// How many keys are smaller.
std::size_t KeyIndex::rank(std::string_view key) const {
  if (leaves_.empty()) return 0;
  const std::size_t index = leaf_for(key);
  std::size_t before = 0;
  for (std::size_t i = index; i > 0; i -= i & (~i + 1)) before += fenwick_[i];
  return before + leaves_[index]->lower_bound(key);
}

std::size_t KeyIndex::count(std::string_view from, std::string_view to) const {
  const std::size_t low = rank(from), high = to.empty() ? size_ : rank(to);
  return high > low ? high - low : 0;
}

// fenwick_[i] counts the leaves (i - lowbit(i), i], leaves numbered from 1.
void KeyIndex::recount() {
  fenwick_.assign(leaves_.size() + 1, 0);
  for (std::size_t i = 1; i <= leaves_.size(); ++i) {
    fenwick_[i] += leaves_[i - 1]->slots.size();
    const std::size_t parent = i + (i & (~i + 1));
    if (parent <= leaves_.size()) fenwick_[parent] += fenwick_[i];
  }
}

// Of a leaf behind all others, as keys that come in order make them.
void KeyIndex::append_count(std::size_t count) {
  const std::size_t at = fenwick_.size();
  std::size_t sum = count;
  for (std::size_t i = at - 1, end = at - (at & (~at + 1)); i > end; i -= i & (~i + 1)) sum += fenwick_[i];
  fenwick_.push_back(sum);
}

void KeyIndex::add_count(std::size_t leaf, long by) {
  for (std::size_t i = leaf + 1; i < fenwick_.size(); i += i & (~i + 1))
    fenwick_[i] = static_cast<std::size_t>(static_cast<long>(fenwick_[i]) + by);
}

std::size_t KeyIndex::memory_bytes() const {
  std::size_t bytes = fenwick_.capacity() * sizeof(std::size_t);
  for (const auto& first : firsts_)
    bytes += sizeof first + (first.capacity() > 15 ? first.capacity() + 1 : 0);
  for (const auto& leaf : leaves_)
    bytes += sizeof(void*) + sizeof *leaf + leaf->prefix.capacity() + leaf->suffixes.capacity() +
             leaf->slots.capacity() * sizeof(Slot);
  return bytes;
}

}  // namespace rusternetes::storage::sqlite
