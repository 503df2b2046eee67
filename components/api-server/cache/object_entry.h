#pragma once
// One object at one revision, as the watch cache holds it: immutable, shared by everybody who reads. Its body, without the
// TypeMeta, is encoded once for each version and encoding in use, on first use (invariant 4).

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include "apimachinery/document.h"
#include "storage/store.h"

namespace rusternetes::api_server {

// How often an object was encoded; a test holds that repeated reads do not move it.
std::uint64_t object_encodings();

class ObjectEntry {
 public:
  // `key` is relative to the resource: "namespace/name" or "name". The document is of the storage version's type and has
  // metadata.resourceVersion.
  ObjectEntry(std::string key, storage::Revision revision, apimachinery::Document document)
      : key(std::move(key)), revision(revision), document(std::move(document)) {}
  ~ObjectEntry();

  const std::string key;
  const storage::Revision revision;
  const apimachinery::Document document;

  // The body in a version (its kind's type) and encoding. Made on first use; lives as long as the entry.
  std::string_view body(const apimachinery::Kind& version, apimachinery::Encoding encoding) const;
  std::size_t memory_bytes() const;

 private:
  struct Body {
    const apimachinery::Type* type;
    apimachinery::Encoding encoding;
    std::string text;
    Body* next;
  };
  friend void intrusive_ptr_add_ref(const ObjectEntry* entry) {
    entry->references_.fetch_add(1, std::memory_order_relaxed);
  }
  friend void intrusive_ptr_release(const ObjectEntry* entry) {
    if (entry->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete entry;
  }
  mutable std::atomic<std::uint32_t> references_{0};
  mutable std::atomic<Body*> bodies_{nullptr};  // a list that only grows
};

using EntryPtr = boost::intrusive_ptr<const ObjectEntry>;

// Keeps an entry's body alive while it is being sent.
std::shared_ptr<const void> keep_alive(EntryPtr entry);

}  // namespace rusternetes::api_server
