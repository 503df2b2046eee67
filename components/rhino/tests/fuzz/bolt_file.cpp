// A file in bbolt's format: whatever its bytes, it is walked to its end or refused, in time that its length
// bounds.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "rhino/bolt/reader.h"

using namespace rusternetes::rhino::bolt;

namespace {

// Nobody guesses a checksum, but whoever makes a file to harm computes it.
void sum_meta(std::string& bytes, std::size_t page) {
  if (page + sizeof(PageHeader) + sizeof(Meta) > bytes.size()) return;
  Meta meta;
  std::memcpy(&meta, bytes.data() + page + sizeof(PageHeader), sizeof meta);
  meta.checksum = checksum_of(meta);
  std::memcpy(bytes.data() + page + sizeof(PageHeader), &meta, sizeof meta);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  sum_meta(bytes, 0);
  sum_meta(bytes, page_size);
  const int fd = ::memfd_create("bolt", MFD_CLOEXEC);
  RN_ASSERT(fd >= 0 && ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
            "no memory");
  auto reader = Reader::open(fd, bytes.size());
  if (!reader) return 0;
  for (const auto& [bucket, _] : (*reader)->buckets()) {
    std::string last;
    std::size_t seen = 0;
    auto walked = (*reader)->walk(
        bucket, [&](std::string_view key, std::string_view value) -> rusternetes::Result<void> {
          RN_ASSERT(!key.empty() && last < key, "keys are out of order");
          last = key;
          seen += key.size() + value.size();
          return {};
        });
    RN_ASSERT(seen <= bytes.size(), "more was seen than is there");
    (void)walked;
  }
  return 0;
}
