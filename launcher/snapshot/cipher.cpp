#include "launcher/snapshot/cipher.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace rusternetes::launcher::snapshot {
namespace {

constexpr std::uint64_t memory_limit = 512ULL << 20;

std::uint64_t memory_of(const ScryptCost& cost) { return (128ULL * cost.r) << cost.log_n; }

}  // namespace

bool is_bearable(const ScryptCost& cost) {
  return cost.log_n >= 1 && cost.log_n <= 20 && cost.r >= 1 && cost.r <= 32 && cost.p >= 1 && cost.p <= 4 &&
         memory_of(cost) * cost.p <= memory_limit;
}

Result<FileKey> FileKey::derive(std::string_view passphrase, Bytes salt, const ScryptCost& cost) {
  RN_ASSERT(is_bearable(cost), "a cost is looked at first");
  FileKey key;
  // What OpenSSL counts besides: p blocks and 32 r words.
  const std::uint64_t limit = memory_of(cost) + 128ULL * cost.r * (cost.p + 2) + (1 << 20);
  if (EVP_PBE_scrypt(passphrase.data(), passphrase.size(), salt.data(), salt.size(), 1ULL << cost.log_n,
                     cost.r, cost.p, limit, key.bytes_.data(), key.bytes_.size()) != 1) {
    ERR_clear_error();
    return internal_error("the passphrase's key cannot be made: there is too little memory");
  }
  return key;
}

FileKey::~FileKey() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

Sum FileKey::proof(Bytes message) const {
  Sum sum;
  RN_ASSERT(HMAC(EVP_sha256(), bytes_.data() + 32, 32, message.data(), message.size(), sum.data(), nullptr) !=
                nullptr,
            "no HMAC");
  return sum;
}

void ChunkCipher::Free::operator()(evp_cipher_ctx_st* context) const { EVP_CIPHER_CTX_free(context); }

ChunkCipher::ChunkCipher(const FileKey& key, Bytes associated)
    : key_(key), associated_(associated.begin(), associated.end()), context_(EVP_CIPHER_CTX_new()) {
  RN_ASSERT(context_, "no memory");
}

void ChunkCipher::begin(std::uint64_t number, bool is_last, bool is_sealing) {
  std::array<std::uint8_t, 12> nonce{};
  for (std::size_t at = 0; at < 8; ++at) nonce[10 - at] = static_cast<std::uint8_t>(number >> (8 * at));
  nonce[11] = is_last ? 1 : 0;
  int length = 0;
  RN_ASSERT(EVP_CipherInit_ex(context_.get(), EVP_aes_256_gcm(), nullptr, key_.sealing_key().data(),
                              nonce.data(), is_sealing ? 1 : 0) == 1 &&
                EVP_CipherUpdate(context_.get(), nullptr, &length, associated_.data(),
                                 static_cast<int>(associated_.size())) == 1,
            "no AES-256-GCM");
}

void ChunkCipher::seal(std::uint64_t number, bool is_last, Bytes plain, std::vector<std::uint8_t>& out) {
  RN_ASSERT(plain.size() <= chunk_size, "more than a chunk");
  begin(number, is_last, true);
  out.resize(plain.size() + tag_size);
  int length = 0;
  int rest = 0;
  RN_ASSERT(EVP_CipherUpdate(context_.get(), out.data(), &length, plain.data(),
                             static_cast<int>(plain.size())) == 1 &&
                EVP_CipherFinal_ex(context_.get(), out.data() + length, &rest) == 1 &&
                EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, tag_size,
                                    out.data() + plain.size()) == 1,
            "no AES-256-GCM");
}

bool ChunkCipher::open(std::uint64_t number, bool is_last, Bytes sealed, std::vector<std::uint8_t>& out) {
  RN_ASSERT(sealed.size() >= tag_size && sealed.size() <= sealed_size, "no chunk");
  begin(number, is_last, false);
  const Bytes text = sealed.first(sealed.size() - tag_size);
  std::array<std::uint8_t, tag_size> tag;
  std::copy(sealed.end() - tag_size, sealed.end(), tag.begin());
  out.resize(text.size() + tag_size);  // room for what the library may write at the end
  int length = 0;
  int rest = 0;
  const bool is_whole =
      EVP_CipherUpdate(context_.get(), out.data(), &length, text.data(), static_cast<int>(text.size())) ==
          1 &&
      EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, tag_size, tag.data()) == 1 &&
      EVP_CipherFinal_ex(context_.get(), out.data() + length, &rest) == 1;
  out.resize(is_whole ? text.size() : 0);
  if (!is_whole) ERR_clear_error();
  return is_whole;
}

}  // namespace rusternetes::launcher::snapshot
