"""Classification of tiles: is the target anywhere in a tile?"""
