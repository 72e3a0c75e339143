"""Runs a WASI command under wasmtime's own release, with its default settings."""

import sys

from wasmtime import Engine, ExitTrap, Linker, Module, Store, WasiConfig

module, rounds = sys.argv[1:]
engine = Engine()
store = Store(engine)
wasi = WasiConfig()
wasi.argv = ("task", rounds)
wasi.inherit_stdout()
store.set_wasi(wasi)
linker = Linker(engine)
linker.define_wasi()
instance = linker.instantiate(store, Module.from_file(engine, module))
try:
    instance.exports(store)["_start"](store)
except ExitTrap as exit:
    sys.exit(exit.code)
