from .inception import InceptionV3Features as InceptionV3Features
