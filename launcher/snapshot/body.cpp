#include "launcher/snapshot/body.h"

#include <algorithm>

#include "launcher/snapshot/errors.h"

namespace rusternetes::launcher::snapshot {
namespace {

std::unique_ptr<ChunkCipher> cipher_of(const FileKey* key, const HeaderBytes& header) {
  return key == nullptr ? nullptr : std::make_unique<ChunkCipher>(*key, header);
}

}  // namespace

BodySink::BodySink(File& file, const HeaderBytes& header, const FileKey* key)
    : file_(file), header_(header), cipher_(cipher_of(key, header)) {}

Result<> BodySink::put(Bytes bytes) {
  sum_.add(bytes);
  written_ += bytes.size();
  return file_.write(bytes);
}

Result<> BodySink::begin() { return put(header_); }

Result<> BodySink::add(Bytes bytes) {
  if (!cipher_) return put(bytes);
  while (!bytes.empty()) {
    // A full chunk waits until more comes: it may be the last one.
    if (chunk_.size() == chunk_size) RN_CHECK(seal(false));
    const Bytes taken = bytes.first(std::min(bytes.size(), chunk_size - chunk_.size()));
    chunk_.insert(chunk_.end(), taken.begin(), taken.end());
    bytes = bytes.subspan(taken.size());
  }
  return {};
}

Result<> BodySink::seal(bool is_last) {
  cipher_->seal(number_++, is_last, chunk_, sealed_);
  chunk_.clear();
  return put(sealed_);
}

Result<> BodySink::finish() {
  if (cipher_) {
    RN_ASSERT(!chunk_.empty(), "an archive is never empty");
    RN_CHECK(seal(true));
  }
  TrailerBytes trailer = begin_trailer(written_ + trailer_size);
  RN_CHECK(put(Bytes(trailer).first(summed_part_of_trailer)));
  const Sum sum = sum_.finish();
  return file_.write(sum);
}

BodySource::BodySource(const File& file, const HeaderBytes& header, const FileKey* key)
    : file_(file), cipher_(cipher_of(key, header)), end_(file.size() - trailer_size) {
  RN_ASSERT(file.size() >= header_size + trailer_size, "a snapshot's size is looked at first");
  sum_.add(header);
}

Result<Bytes> BodySource::read(std::size_t size) {
  buffer_.resize(size);
  RN_TRY(const std::size_t got, file_.read_at(at_, buffer_));
  if (got < size) return cut_short(file_.path());
  at_ += got;
  sum_.add(buffer_);
  return Bytes(buffer_);
}

Result<Bytes> BodySource::next() {
  if (cipher_) return next_sealed();
  return read(static_cast<std::size_t>(std::min<std::uint64_t>(piece_size, end_ - at_)));
}

Result<Bytes> BodySource::next_sealed() {
  if (at_ == end_ && number_ > 0) return Bytes();
  RN_TRY(const Bytes sealed,
         read(static_cast<std::size_t>(std::min<std::uint64_t>(sealed_size, end_ - at_))));
  if (sealed.size() <= tag_size) return cut_short(file_.path());
  const bool is_last = at_ == end_;
  if (!cipher_->open(number_, is_last, sealed, plain_)) {
    // A chunk that is whole, but not the last one of what was written, where the file ends.
    if (is_last && cipher_->open(number_, false, sealed, plain_)) return cut_short(file_.path());
    return damaged(file_.path(), part_);
  }
  ++number_;
  return Bytes(plain_);
}

Result<> BodySource::finish() {
  while (true) {
    RN_TRY(const Bytes more, next());
    if (more.empty()) break;
  }
  std::array<std::uint8_t, trailer_size> trailer;
  RN_TRY(const std::size_t got, file_.read_at(end_, trailer));
  if (got < trailer.size()) return cut_short(file_.path());
  sum_.add(Bytes(trailer).first(summed_part_of_trailer));
  const Sum sum = sum_.finish();
  if (!std::equal(sum.begin(), sum.end(), trailer.begin() + summed_part_of_trailer))
    return damaged(file_.path(), "the sum of the whole file is another one");
  return {};
}

}  // namespace rusternetes::launcher::snapshot
