# Sourced by the scripts here: what they need, first way that works.
#   build TARGET ARGS...   cargo build --release for a target without an operating system
#   emulator               whether QEMU is there, or could be installed
#   pinned                 whether the compiler is the one of rust-toolchain.toml

firmware_targets=(thumbv7em-none-eabihf thumbv6m-none-eabi riscv32imac-unknown-none-elf
  riscv32imc-unknown-none-elf)
firmware_std=() firmware_rustc=

packages() {
  apt-get install -y --no-install-recommends "$@" ||
    { apt-get update && apt-get install -y --no-install-recommends "$@"; }
}

emulator() { command -v qemu-system-arm || packages qemu-system-arm; }

pinned() { [ -z "$firmware_rustc" ]; }

# rustup fetches what rust-toolchain.toml names. Where it cannot: Debian's compiler, which can
# build the core library from Debian's copy of its sources.
compiler() {
  local channel
  channel=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
  if timeout 600 rustup toolchain install "$channel" --profile minimal --no-self-update \
      --target "$(IFS=,; echo "${firmware_targets[*]}")" >&2; then
    return
  fi
  echo "firmware: rustup cannot fetch $channel with its targets; rustc-web is used" >&2
  # The newest: Debian raises it with its security updates.
  apt-get update
  apt-get install -y --no-install-recommends rustc-web rust-web-src
  firmware_rustc=/usr/bin/rustc firmware_std=(-Zbuild-std=core)
  RUSTUP_TOOLCHAIN=$(cd / && rustup show active-toolchain | cut -d' ' -f1)
  export RUSTUP_TOOLCHAIN
  # The linker that rustup's toolchain brings along.
  PATH=$(echo "$(rustc --print sysroot)"/lib/rustlib/*-linux-gnu/bin):$PATH
}

build() {
  local target=$1
  shift
  if pinned; then
    cargo build --release --target "$target" "$@"
  else
    RUSTC=$firmware_rustc RUSTC_BOOTSTRAP=1 \
      cargo build --release --target "$target" "${firmware_std[@]}" "$@"
  fi
}
