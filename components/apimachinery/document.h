#pragma once
// An object that is final: immutable, in one allocation, shared by reference count between threads.

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "apimachinery/value.h"

namespace rusternetes::apimachinery {

class Document {
 public:
  Document() = default;
  // Copies the value compactly. `schema` keeps run-time types alive; null for compiled ones.
  static Document freeze(const Value& root, const Type& type, std::shared_ptr<const SchemaSet> schema = {});

  Document(const Document& other) : block_(other.block_) {
    if (block_) block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  Document(Document&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Document& operator=(Document other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Document() { release(); }

  explicit operator bool() const { return block_ != nullptr; }
  const Value& root() const { return block_->root; }
  const Type& type() const { return *block_->type; }
  // Bytes of the one allocation.
  std::size_t size() const { return block_ ? block_->bytes : 0; }
  bool is_same(const Document& other) const { return block_ == other.block_; }

 private:
  struct Block {
    std::atomic<std::uint32_t> references{1};
    std::uint32_t bytes = 0;
    const Type* type = nullptr;
    std::shared_ptr<const SchemaSet> schema;
    Value root;
  };
  void release();
  Block* block_ = nullptr;
};

}  // namespace rusternetes::apimachinery
