# SPDX-License-Identifier: Apache-2.0
"""What the integration tests run against: real registries, real images, the program itself."""
