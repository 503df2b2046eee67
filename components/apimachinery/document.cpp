#include "apimachinery/document.h"

#include <new>

namespace rusternetes::apimachinery {

Document Document::freeze(const Value& root, const Type& type, std::shared_ptr<const SchemaSet> schema) {
  const std::size_t bytes = sizeof(Block) + compact_size(root);
  auto* block = new (::operator new(bytes)) Block;
  block->bytes = static_cast<std::uint32_t>(bytes);
  block->type = &type;
  block->schema = std::move(schema);
  char* memory = reinterpret_cast<char*>(block + 1);
  block->root = compact_copy(root, memory);
  Document document;
  document.block_ = block;
  return document;
}

void Document::release() {
  if (block_ && block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    block_->~Block();
    ::operator delete(block_);
  }
  block_ = nullptr;
}

}  // namespace rusternetes::apimachinery
