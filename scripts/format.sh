#!/usr/bin/env bash
# Formats all Swift code in place, as scripts/lint.sh wants it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
swift format format --configuration .swift-format --recursive --in-place --parallel Package.swift Sources Tests Benchmarks
