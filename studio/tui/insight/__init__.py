"""The insight screen: the pool's figures, and what another rule would have decided."""
