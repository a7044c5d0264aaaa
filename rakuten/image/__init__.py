"""Product images: preprocessing, backbones, feature extraction."""
