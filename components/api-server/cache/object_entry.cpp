#include "api-server/cache/object_entry.h"

#include "api-server/conversion.h"
#include "apimachinery/json.h"
#include "apimachinery/protobuf.h"

namespace rusternetes::api_server {
namespace {
std::atomic<std::uint64_t> encodings{0};
}

std::uint64_t object_encodings() { return encodings.load(); }

ObjectEntry::~ObjectEntry() {
  for (Body* body = bodies_.load(); body;) delete std::exchange(body, body->next);
}

std::string_view ObjectEntry::body(const apimachinery::Kind& version, apimachinery::Encoding encoding) const {
  for (Body* body = bodies_.load(std::memory_order_acquire); body; body = body->next)
    if (body->type == version.type && body->encoding == encoding) return body->text;
  auto made = std::make_unique<Body>(Body{version.type, encoding, {}, nullptr});
  apimachinery::Arena arena;
  const apimachinery::Value* value = &document.root();
  apimachinery::Value converted;
  if (&document.type() != version.type) {
    converted = convert_value(arena, *value, document.type(), *version.type);
    value = &converted;
  }
  if (encoding == apimachinery::Encoding::json)
    apimachinery::encode_json(made->text, value, *version.type, {});
  else
    apimachinery::encode_protobuf(made->text, value, *version.type);
  made->text.shrink_to_fit();
  encodings.fetch_add(1, std::memory_order_relaxed);
  // Two readers may encode at once; both bodies are right and both stay until the entry goes.
  Body* body = made.release();
  body->next = bodies_.load(std::memory_order_relaxed);
  while (!bodies_.compare_exchange_weak(body->next, body, std::memory_order_release, std::memory_order_relaxed)) {
  }
  return body->text;
}

std::size_t ObjectEntry::memory_bytes() const {
  std::size_t bytes = sizeof *this + key.capacity() + document.size();
  for (Body* body = bodies_.load(std::memory_order_acquire); body; body = body->next)
    bytes += sizeof *body + body->text.capacity();
  return bytes;
}

std::shared_ptr<const void> keep_alive(EntryPtr entry) {
  struct Holder {
    EntryPtr entry;
  };
  return std::make_shared<Holder>(Holder{std::move(entry)});
}

}  // namespace rusternetes::api_server
