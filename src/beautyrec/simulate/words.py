"""The words from which a made-up beauty catalogue is built."""

from __future__ import annotations

DEPARTMENTS: dict[str, dict[str, tuple[str, ...]]] = {
    "Makeup": {
        "Face": ("Foundation", "Concealer", "Powder", "Blush", "Bronzer", "Primer", "Highlighter"),
        "Eyes": ("Mascara", "Eyeliner", "Eye Shadow", "Brow Pencil", "False Lashes"),
        "Lips": ("Lipstick", "Lip Gloss", "Lip Liner", "Lip Balm"),
        "Nails": ("Nail Polish", "Top Coat", "Nail Art", "Cuticle Care", "Polish Remover"),
    },
    "Skin Care": {
        "Face": ("Cleanser", "Toner", "Serum", "Day Cream", "Night Cream", "Face Mask", "Scrub", "Eye Cream"),
        "Body": ("Body Lotion", "Body Oil", "Body Scrub", "Hand Cream", "Foot Cream", "Deodorant"),
        "Sun": ("Sunscreen", "After Sun", "Self Tanner"),
    },
    "Hair Care": {
        "Wash": ("Shampoo", "Conditioner", "Dry Shampoo", "Scalp Treatment"),
        "Styling": ("Hair Spray", "Mousse", "Hair Gel", "Styling Cream", "Heat Protection"),
        "Treatment": ("Hair Mask", "Hair Oil", "Hair Loss Treatment"),
        "Colour": ("Permanent Colour", "Rinse", "Bleach"),
    },
    "Fragrance": {
        "Women": ("Eau de Parfum", "Eau de Toilette", "Body Mist"),
        "Men": ("Cologne", "Aftershave"),
    },
    "Tools": {
        "Hair": ("Hair Dryer", "Flat Iron", "Curling Iron", "Hair Brush", "Comb", "Hair Clips"),
        "Face": ("Makeup Brush", "Sponge", "Mirror", "Tweezers", "Cleansing Brush"),
        "Nails": ("Nail File", "Nail Clipper", "UV Lamp"),
    },
    "Bath": {
        "Bathing": ("Bubble Bath", "Bath Salts", "Soap", "Shower Gel"),
        "Accessories": ("Loofah", "Bath Brush", "Bath Pillow"),
    },
}
"""Department, then area, then kinds of product: the last is the category."""

BASE_PRICE: dict[str, float] = {
    "Makeup": 9.0,
    "Skin Care": 14.0,
    "Hair Care": 12.0,
    "Fragrance": 32.0,
    "Tools": 18.0,
    "Bath": 8.0,
}
"""Median price of each department, in the currency of the catalogue."""

SYLLABLES = (
    "al",
    "be",
    "cor",
    "da",
    "el",
    "fi",
    "lo",
    "ma",
    "ni",
    "or",
    "pa",
    "ri",
    "sa",
    "te",
    "va",
    "vi",
    "ya",
    "zen",
)
"""Two or three of them make a brand's name."""

TRAITS = (
    "Velvet",
    "Pure",
    "Matte",
    "Radiant",
    "Gentle",
    "Intense",
    "Daily",
    "Silk",
    "Fresh",
    "Rose",
    "Argan",
    "Aloe",
    "Vitamin C",
    "Charcoal",
    "Coconut",
    "Honey",
    "Lavender",
    "Mint",
    "Hydrating",
    "Volume",
    "Repair",
    "Sensitive",
    "Long Wear",
    "Natural",
    "Classic",
    "Glow",
    "Deep",
    "Light",
    "Nourishing",
    "Smooth",
)
"""What a product is said to be; two of them stand in each title."""

SIZES = ("0.5 oz", "1 oz", "2 oz", "4 oz", "8 oz", "12 oz", "Set of 2", "Travel Size")
"""The end of each title."""
