#pragma once
// Typed reading of values: the classes in api/*.h, generated from the schema, are these with names. A view of something
// absent is empty and answers with zero values, so chains need no checks: pod.spec().securityContext().runAsUser().

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "apimachinery/value.h"

namespace rusternetes::apimachinery {

class View {
 public:
  View() = default;
  explicit View(const Value* value) : value_(value) {}
  // False when the field is absent.
  explicit operator bool() const { return value_ != nullptr; }
  const Value* value() const { return value_; }

 protected:
  const Value* at(int field) const { return value_ ? value_->get(field) : nullptr; }
  std::string_view string_at(int field) const {
    const Value* v = at(field);
    return v ? v->str() : std::string_view{};
  }
  std::int64_t integer_at(int field, std::int64_t otherwise) const {
    const Value* v = at(field);
    return v && (v->kind == ValueKind::integer || v->kind == ValueKind::time) ? v->integer : otherwise;
  }
  bool boolean_at(int field, bool otherwise) const {
    const Value* v = at(field);
    return v && v->kind == ValueKind::boolean ? v->boolean : otherwise;
  }
  double floating_at(int field, double otherwise) const {
    const Value* v = at(field);
    return v && v->kind == ValueKind::floating ? v->floating : otherwise;
  }
  const Value* value_ = nullptr;
};

template <class T>
struct ElementOf {
  static T from(const Value* value) { return T(value); }
};
template <>
struct ElementOf<std::string_view> {
  static std::string_view from(const Value* value) { return value->str(); }
};
template <>
struct ElementOf<std::int64_t> {
  static std::int64_t from(const Value* value) { return value->integer; }
};

template <class T>
class ListView {
 public:
  ListView() = default;
  explicit ListView(const Value* value)
      : items_(value ? value->items : nullptr), size_(value && value->kind == ValueKind::list ? value->size : 0) {}
  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = const T*;
    using reference = T;
    explicit iterator(const Value* at) : at_(at) {}
    T operator*() const { return ElementOf<T>::from(at_); }
    iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator==(const iterator&) const = default;

   private:
    const Value* at_;
  };
  iterator begin() const { return iterator(items_); }
  iterator end() const { return iterator(items_ + size_); }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T operator[](std::size_t i) const { return ElementOf<T>::from(items_ + i); }

 private:
  const Value* items_ = nullptr;
  std::size_t size_ = 0;
};

template <class T>
class MapView {
 public:
  MapView() = default;
  explicit MapView(const Value* value) : value_(value && value->kind == ValueKind::map ? value : nullptr) {}
  struct Entry {
    std::string_view key;
    T value;
  };
  class iterator {
   public:
    explicit iterator(const Value* at) : at_(at) {}
    Entry operator*() const { return {at_[0].str(), ElementOf<T>::from(at_ + 1)}; }
    iterator& operator++() {
      at_ += 2;
      return *this;
    }
    bool operator==(const iterator&) const = default;

   private:
    const Value* at_;
  };
  iterator begin() const { return iterator(value_ ? value_->items : nullptr); }
  iterator end() const { return iterator(value_ ? value_->items + 2 * value_->size : nullptr); }
  std::size_t size() const { return value_ ? value_->size : 0; }
  bool empty() const { return size() == 0; }
  // The raw value of a key, null pointer when absent.
  const Value* find(std::string_view key) const { return value_ ? value_->lookup(key) : nullptr; }
  std::string_view get(std::string_view key) const {
    const Value* found = find(key);
    return found ? found->str() : std::string_view{};
  }
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  const Value* value() const { return value_; }

 private:
  const Value* value_ = nullptr;
};

}  // namespace rusternetes::apimachinery
